//! The HTTP server: routes, limits and problem details over the engine.
