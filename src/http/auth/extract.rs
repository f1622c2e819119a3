//! The extractor that stands first in every operation: no body is read for a caller who may not be here.

use std::marker::PhantomData;

use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};

use super::{Guarded, Principal, Role, reach};
use crate::{
    coordinator::Coordinator,
    domain::PoolId,
    http::{
        HttpState,
        edge::Context,
        problem::{FieldError, Problem},
        request_id::RequestId,
    },
};

/// A role as a type, so that an operation's signature says what it needs.
pub trait Needs: Send + Sync + 'static {
    /// The role.
    const ROLE: Role;
}

macro_rules! needs {
    ($($name:ident),+) => {
        $(
            #[doc = concat!("Needs the role ", stringify!($name), ".")]
            pub struct $name;
            impl Needs for $name {
                const ROLE: Role = Role::$name;
            }
        )+
    };
}
needs!(Read, Consume, Report, Admin);

/// Who asks, and the node that is asked.
#[derive(Clone)]
pub struct Caller {
    /// Who.
    pub principal: Principal,
    /// The node.
    pub state: HttpState,
    /// Id of the request.
    pub request: RequestId,
}

/// A caller who has the role.
pub struct Auth<N>(pub Caller, PhantomData<N>);

const BEARER: &str = "bearer";
const API_KEY: &str = "apiKey";

fn scheme(ty: &'static str, name: Option<&'static str>, scheme: Option<&'static str>) -> MetaSecurityScheme {
    MetaSecurityScheme {
        ty,
        description: Some("An API key."),
        name,
        key_in: name.map(|_| "header"),
        scheme,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    }
}

impl<'a, N: Needs> ApiExtractor<'a> for Auth<N> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_security_scheme(BEARER, scheme("http", None, Some("bearer")));
        registry.create_security_scheme(API_KEY, scheme("apiKey", Some("X-API-Key"), None));
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![BEARER, API_KEY]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let context = Context::of(request)?;
        let principal = context.state.keyring().authorize(request.headers(), N::ROLE)?.clone();
        let caller = Caller { principal, state: context.state.clone(), request: context.id.clone() };
        Ok(Self(caller, PhantomData))
    }
}

impl Caller {
    /// The use cases, as far as they are open to the caller.
    pub fn coordinator(&self) -> Guarded<'_> {
        Guarded::new(self.state.coordinator(), self.principal.reach())
    }

    /// The use cases that concern pools as a whole, which a key that is confined to a part of the scope may not see or change.
    pub fn of_whole_pools(&self) -> Result<&Coordinator, Problem> {
        if self.principal.reach().is_confined() {
            return Err(reach::forbidden(FieldError::parameter("pool", "this operation concerns all of it")));
        }
        Ok(self.state.coordinator())
    }

    /// The pool that a request is about: the one that it names, else the only one that the caller sees.
    /// `place` makes the error for a request that had to name one.
    pub fn pool(&self, wanted: Option<&str>, place: fn(String) -> FieldError) -> Result<PoolId, Problem> {
        let configured = || self.state.coordinator().pools().iter().map(|pool| &pool.id);
        self.principal.choose(wanted, configured, place)
    }

    /// The first configured pool that the caller sees.
    pub fn first_pool(&self) -> Option<PoolId> {
        let pools = self.state.coordinator().pools();
        pools.iter().map(|pool| &pool.id).find(|id| self.principal.sees(id)).cloned()
    }
}
