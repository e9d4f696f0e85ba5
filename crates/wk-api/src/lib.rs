//! The HTTP side: JSON API with OpenAPI, live events, metrics page and status page.
