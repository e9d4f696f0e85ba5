//! What holds for every operation of the API: who may ask, and how a refusal looks.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};

/// Adds the bearer token, and the problem that any operation may answer with.
pub(crate) fn complete(mut description: OpenApi) -> OpenApi {
    let components = description.components.get_or_insert_default();
    components.security_schemes.insert(
        "token".to_owned(),
        RefOr::T(SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer))),
    );
    // Without a token callers may do what `server.auth.anonymous` says.
    let nobody = SecurityRequirement::default();
    let bearer = SecurityRequirement::new("token", Vec::<String>::new());
    description.security = Some(vec![nobody, bearer]);
    for item in description.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
            add_problem(operation);
        }
    }
    description
}

fn add_problem(operation: &mut Operation) {
    let problem: Response = ResponseBuilder::new()
        .description(
            "Anything else: a wrong query, a missing or too weak token, a fault of the server",
        )
        .content(
            "application/problem+json",
            Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem")))),
        )
        .build();
    operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
}
