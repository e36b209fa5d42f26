//! Says which shapes match.

fn main() {
    let shapes = [shapes::Shape::Circle { radius: 2.0 }, shapes::Shape::Square { side: 3.0 }];
    let large: Vec<String> = shapes.iter().filter(|shape| shape.area() > 10.0).map(|shape| format!("{shape:?}")).collect();
    println!("{} {}", large.join(","), matching::matches("b*d", "build"));
}
