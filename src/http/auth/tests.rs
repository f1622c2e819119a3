use super::*;
use crate::http::problem::FieldError;

fn settings(mode: AuthMode, admin: bool) -> AuthSettings {
    let pool = PoolId::new("openai").unwrap();
    let key = |name: &str, roles: &[Role], pools| KeySettings {
        name: name.into(),
        sha256: digest(&format!("{name}-secret")),
        roles: roles.to_vec(),
        pools,
        reach: Reach::default(),
        expires_at: None,
    };
    AuthSettings {
        mode,
        keys: vec![key("reader", &[Role::Read], None), key("app", &[Role::Read, Role::Consume], Some(vec![pool]))],
        admin_key_sha256: admin.then(|| digest("root")),
    }
}

fn headers(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(name, value.parse().unwrap());
    headers
}

/// The principal's name, or the status and code of the refusal.
fn ask(settings: &AuthSettings, headers: &HeaderMap, role: Role) -> Result<String, (u16, &'static str)> {
    let keyring = Keyring::new(settings);
    keyring.authorize(headers, role).map(|p| p.name().to_string()).map_err(|p| (p.status().as_u16(), p.code()))
}

#[test]
fn a_key_opens_what_its_roles_say() {
    let with = settings(AuthMode::Keys, true);
    let bearer = |key: &str| headers("authorization", &format!("Bearer {key}"));
    assert_eq!(ask(&with, &bearer("reader-secret"), Role::Read), Ok("reader".into()));
    assert_eq!(ask(&with, &headers("authorization", "bearer reader-secret"), Role::Read), Ok("reader".into()));
    assert_eq!(ask(&with, &headers("x-api-key", "app-secret"), Role::Consume), Ok("app".into()));
    assert_eq!(ask(&with, &bearer("reader-secret"), Role::Consume), Err((403, "forbidden")));
    assert_eq!(ask(&with, &bearer("root"), Role::Report), Ok("admin".into()));
    assert_eq!(ask(&with, &bearer("nobody"), Role::Read), Err((401, "unauthorized")));
    assert_eq!(ask(&with, &HeaderMap::new(), Role::Read), Err((401, "unauthorized")));
    assert_eq!(ask(&with, &headers("authorization", "Basic cm9vdA=="), Role::Read), Err((401, "unauthorized")));
    assert_eq!(ask(&with, &headers("authorization", "Bearer"), Role::Read), Err((401, "unauthorized")));
}

#[test]
fn without_keys_everyone_may_do_all_but_admin() {
    let open = settings(AuthMode::None, true);
    assert_eq!(ask(&open, &headers("authorization", "Basic cm9vdA=="), Role::Read), Ok("anonymous".into()));
    for role in [Role::Read, Role::Consume, Role::Report] {
        assert_eq!(ask(&open, &HeaderMap::new(), role), Ok("anonymous".into()));
    }
    assert_eq!(ask(&open, &headers("x-api-key", "reader-secret"), Role::Report), Ok("reader".into()));
    assert_eq!(ask(&open, &HeaderMap::new(), Role::Admin), Err((401, "unauthorized")));
    assert_eq!(ask(&open, &headers("x-api-key", "wrong"), Role::Admin), Err((401, "unauthorized")));
    assert_eq!(ask(&open, &headers("x-api-key", "reader-secret"), Role::Admin), Err((403, "forbidden")));
    assert_eq!(ask(&open, &headers("x-api-key", "root"), Role::Admin), Ok("admin".into()));
}

#[test]
fn admin_is_off_where_nobody_can_be_admin() {
    for mode in [AuthMode::Keys, AuthMode::None] {
        assert_eq!(ask(&settings(mode, false), &HeaderMap::new(), Role::Admin), Err((503, "admin_disabled")));
    }
}

#[test]
fn the_pool_may_be_left_out_where_there_is_no_choice() {
    let pools = ["anthropic", "openai"].map(|id| PoolId::new(id).unwrap());
    let place = |detail: String| FieldError::at("/pool", detail);
    let choose = |principal: &Principal, wanted| {
        principal.choose(wanted, || pools.iter(), place).map(|p| p.to_string()).map_err(|p| p.status().as_u16())
    };
    let confined = Principal::new("app", Roles::OPEN, Some(&pools[1..]));
    let free = Principal::new("ops", Roles::OPEN, None);
    assert_eq!(choose(&confined, None), Ok("openai".into()));
    assert_eq!(choose(&confined, Some("anthropic")), Err(403));
    assert_eq!(choose(&free, None), Err(422));
    assert_eq!(choose(&free, Some("anthropic")), Ok("anthropic".into()));
    assert_eq!(choose(&free, Some("no such/pool")), Err(422));
    assert_eq!(choose(&Principal::new("none", Roles::OPEN, Some(&[])), None), Err(403));
}

#[test]
fn secrets_do_not_show() {
    let shown = format!("{:?}", settings(AuthMode::Keys, true));
    assert!(!shown.contains("sha256") && !shown.contains(&format!("{:?}", digest("root"))), "{shown}");
}
