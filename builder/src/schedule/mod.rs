//! Graph to order.
