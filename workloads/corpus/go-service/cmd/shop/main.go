// Command shop answers one question over HTTP, or on standard output.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"

	"example.org/shop/internal/price"
)

func main() {
	listen := flag.String("listen", "", "address to serve on; empty answers once and ends")
	flag.Parse()
	if *listen == "" {
		fmt.Println(price.Total([]price.Item{{Name: "tea", Cents: 350, Count: 2}, {Name: "cup", Cents: 1200, Count: 1}}))
		os.Exit(0)
	}
	http.HandleFunc("/total", func(w http.ResponseWriter, r *http.Request) {
		var items []price.Item
		if err := json.NewDecoder(r.Body).Decode(&items); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, price.Total(items))
	})
	log.Fatal(http.ListenAndServe(*listen, nil))
}
