package org.example.orders;

import java.util.List;
import java.util.Map;

/** Run with assertions on. */
public final class OrdersTest {
    public static void main(String[] args) {
        assert Orders.sums(List.of()).equals(Map.of());
        assert Orders.sums(List.of(new Orders.Order("a", 1), new Orders.Order("a", 2))).equals(Map.of("a", 3L));
    }
}
