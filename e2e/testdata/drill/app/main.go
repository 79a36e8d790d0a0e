// Command app is an application that is well, or ill as its flags say. It answers on port 8080: /ready and /live as its
// probes, anything else with its name. On SIGTERM it ends with exit code 0.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// illness is what can be wrong with it. The zero value is none.
type illness struct {
	exit   int           // it ends with this code; -1 for never
	after  time.Duration // when it ends, when it is not live any more
	say    string        // its last words
	hang   bool          // it does nothing, and does not end
	leak   bool          // it takes memory until there is none
	dead   bool          // it is live only until after
	flap   time.Duration // ready for so long, then not ready for so long, and so on
	slow   time.Duration // it listens only after that
	write  string        // a file that it has to write
	config string        // a file that must not say "broken"
}

func main() {
	var i illness
	flag.IntVar(&i.exit, "exit", -1, "end with this `code`")
	flag.DurationVar(&i.after, "after", 0, "end, or be no longer live, after so `long`")
	flag.StringVar(&i.say, "say", "this release is broken", "the last `words`")
	flag.BoolVar(&i.hang, "hang", false, "neither listen nor end")
	flag.BoolVar(&i.leak, "leak", false, "take all memory")
	flag.BoolVar(&i.dead, "dead", false, "fail the liveness probe")
	flag.DurationVar(&i.flap, "flap", 0, "change between ready and not ready every so `often`")
	flag.DurationVar(&i.slow, "slow", 0, "listen after so `long`")
	flag.StringVar(&i.write, "write", "", "`file` to write at the start")
	flag.StringVar(&i.config, "config", "", "`file` to read at the start")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := i.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
}

func (i illness) run(ctx context.Context) error {
	if err := i.files(); err != nil {
		return err
	}
	if i.exit >= 0 {
		go i.end(ctx)
	}
	switch {
	case i.leak:
		leak()
	case i.hang, i.exit >= 0 && i.after == 0:
		<-ctx.Done()
		return nil
	}
	return i.serve(ctx)
}

// files does what the application does with files before it listens.
func (i illness) files() error {
	if i.write != "" {
		if err := os.WriteFile(i.write, []byte("here\n"), 0o600); err != nil {
			return err
		}
	}
	if i.config == "" {
		return nil
	}
	text, err := os.ReadFile(i.config)
	if err == nil && strings.Contains(string(text), "broken") {
		err = fmt.Errorf("reading %s: no setting is called %q", i.config, strings.TrimSpace(string(text)))
	}
	return err
}

// end ends the process when its time has come.
func (i illness) end(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(i.after):
		fmt.Fprintln(os.Stderr, "app:", i.say)
		os.Exit(i.exit)
	}
}

// leak takes memory, and touches it, until somebody ends the process.
func leak() {
	var kept [][]byte
	for {
		page := make([]byte, 8<<20)
		for at := 0; at < len(page); at += 4096 {
			page[at] = 1
		}
		kept = append(kept, page)
		if len(kept) > 1024 {
			return // 8 GiB, and nobody minds
		}
	}
}

func (i illness) serve(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(i.slow):
	}
	began := time.Now()
	probe := func(well func(age time.Duration) bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if !well(time.Since(began)) {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			fmt.Fprintln(w, "app")
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/ready", probe(func(age time.Duration) bool { return i.flap == 0 || age/i.flap%2 == 0 }))
	mux.Handle("/live", probe(func(age time.Duration) bool { return !i.dead || age < i.after }))
	mux.Handle("/never", probe(func(time.Duration) bool { return false }))
	mux.Handle("/", probe(func(time.Duration) bool { return true }))
	server := &http.Server{Addr: ":8080", Handler: mux}
	context.AfterFunc(ctx, func() { server.Close() })
	fmt.Println("app: answering on port 8080")
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}
