//! A [`Listener`] as `axum::serve` wants it.

use futures::StreamExt;

use super::{Address, Connection, Incoming, Listener};

/// Lets `axum::serve` use any [`Listener`]: `axum::serve(HttpListener::from(listener), router)`.
#[derive(Debug)]
pub struct HttpListener {
    incoming: Incoming,
    address: Address,
}

impl From<Listener> for HttpListener {
    fn from(listener: Listener) -> Self {
        let address = listener.address().clone();
        Self {
            incoming: listener.incoming(),
            address,
        }
    }
}

impl axum::serve::Listener for HttpListener {
    type Io = Connection;
    type Addr = Address;

    async fn accept(&mut self) -> (Connection, Address) {
        loop {
            match self.incoming.next().await {
                Some(Ok(connection)) => return (connection, self.address.clone()),
                // Already logged and paused for.
                Some(Err(_)) => {}
                // The queue of a bound listener never closes.
                None => std::future::pending().await,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Address> {
        Ok(self.address.clone())
    }
}
