package org.example.orders;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Sums orders by customer. */
public final class Orders {
    private Orders() {}

    /** One order. */
    public record Order(String customer, long cents) {}

    /** The sums, by customer in order of their names. */
    public static Map<String, Long> sums(List<Order> orders) {
        return orders.stream().collect(Collectors.groupingBy(Order::customer, TreeMap::new, Collectors.summingLong(Order::cents)));
    }

    /** Prints the sums of three orders. */
    public static void main(String[] args) {
        System.out.println(sums(List.of(new Order("b", 5), new Order("a", 2), new Order("b", 7))));
    }
}
