//! The network: HTTP for look-ups that a person or a policy asked for. Knows neither keys nor
//! mail, and nobody else may open a connection.

mod http;
mod places;

pub use http::network;
