//! Shapes and their areas.

/// A shape.
#[derive(Debug)]
pub enum Shape {
    /// Of that radius.
    Circle { radius: f64 },
    /// Of that side.
    Square { side: f64 },
}

impl Shape {
    /// Its area.
    pub fn area(&self) -> f64 {
        match self {
            Self::Circle { radius } => std::f64::consts::PI * radius * radius,
            Self::Square { side } => side * side,
        }
    }
}
