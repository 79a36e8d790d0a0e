// Command hello answers every HTTP request on port 8080 with $MESSAGE. It stands for the applications that a
// test deploys: two images that differ in their message differ in their digest. With $CRASH set it stands for
// a broken one. With the argument "print" it prints the message and ends, as init containers and Jobs have to.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if os.Getenv("CRASH") != "" {
		fmt.Fprintf(os.Stderr, "hello: %s cannot start: CRASH is set\n", os.Getenv("MESSAGE"))
		os.Exit(1)
	}
	if len(os.Args) > 1 && os.Args[1] == "print" {
		fmt.Println(os.Getenv("MESSAGE"))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: ":8080", Handler: http.HandlerFunc(answer)}
	context.AfterFunc(ctx, func() { server.Close() })
	fmt.Printf("hello: answering %q on port 8080\n", os.Getenv("MESSAGE"))
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
}

func answer(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, os.Getenv("MESSAGE"))
}
