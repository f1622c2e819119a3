//! Which paths exist, with which methods: what the router knows, in a form that can be asked.

use std::collections::HashMap;

use poem::http::Method;
use poem_openapi::OpenApi;

/// Paths outside the document, all of them GET.
pub const UNDOCUMENTED: [&str; 6] =
    ["/metrics", "/openapi.json", "/openapi.yaml", "/docs", super::live::WS_PATH, super::live::STREAM_PATH];

struct Route {
    path: String,
    method: Method,
    operation: &'static str,
}

/// The routes of an API.
pub struct Routes {
    routes: Vec<Route>,
    templates: HashMap<&'static str, usize>,
}

impl Routes {
    /// The routes of `A`. Operations without an id are left out; a test sees to it that there are none.
    pub fn of<A: OpenApi>() -> Self {
        let routes: Vec<Route> = A::meta()
            .into_iter()
            .flat_map(|api| api.paths)
            .flat_map(|path| {
                let of_path = move |(method, operation)| Route { path: path.path.clone(), method, operation };
                path.operations.into_iter().filter_map(|op| Some((op.method, op.operation_id?))).map(of_path)
            })
            .collect();
        let templates = routes.iter().enumerate().map(|(at, route)| (route.operation, at)).collect();
        Self { routes, templates }
    }

    /// The ids of all operations.
    pub fn operations(&self) -> impl Iterator<Item = &'static str> {
        self.routes.iter().map(|route| route.operation)
    }

    /// The path of an operation, with its parameters in braces.
    pub fn template(&self, operation: &str) -> Option<&str> {
        self.templates.get(operation).map(|at| self.routes[*at].path.as_str())
    }

    /// The methods of a path, as the header `Allow` lists them.
    pub fn allowed(&self, path: &str) -> String {
        // The router prefers a literal segment over a parameter, and so does this.
        let exact = self.routes.iter().any(|route| route.path == path);
        let here = |route: &&Route| if exact { route.path == path } else { matches(&route.path, path) };
        let mut methods: Vec<&str> = self.routes.iter().filter(here).map(|route| route.method.as_str()).collect();
        if UNDOCUMENTED.contains(&path) {
            methods.push("GET");
        }
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.join(", ")
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(t), Some(p)) if t == p || (t.starts_with('{') && !p.is_empty()) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Api;

    #[test]
    fn allow_lists_the_methods_of_a_path() {
        let routes = Routes::of::<Api>();
        assert_eq!(routes.allowed("/api/quota/reservations"), "POST, GET, HEAD");
        assert_eq!(routes.allowed("/api/quota/reservations/abc"), "GET, HEAD");
        assert_eq!(routes.allowed("/api/quota/reservations/release"), "POST");
        assert_eq!(routes.allowed("/api/quota/reservations/abc/commit"), "POST");
        assert_eq!(routes.allowed("/docs"), "GET, HEAD");
        assert_eq!(routes.allowed("/nowhere"), "");
    }

    #[test]
    fn every_operation_has_an_id() {
        let count: usize = Api::meta().iter().flat_map(|api| &api.paths).map(|path| path.operations.len()).sum();
        assert_eq!(Routes::of::<Api>().operations().count(), count);
    }
}
