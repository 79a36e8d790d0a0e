package cluster

import (
	"encoding/json"
	"net/http"
	"sync"
)

// gate stands before a server. It counts the requests, and plays an outage when it is told to.
type gate struct {
	behind http.Handler

	mu       sync.Mutex
	down     bool
	requests map[string]int // by "METHOD path"
	dropped  int            // beyond maxCounted different ones
}

// maxCounted bounds the memory that counting takes.
const maxCounted = 10_000

func newGate(behind http.Handler) *gate {
	return &gate{behind: behind, requests: map[string]int{}}
}

// ServeHTTP answers from behind the gate, or closes the connection without an answer during an outage.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.count(r.Method + " " + r.URL.Path) {
		panic(http.ErrAbortHandler) // net/http's way to close a connection unanswered
	}
	g.behind.ServeHTTP(w, r)
}

func (g *gate) count(request string) (down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.requests[request]; known || len(g.requests) < maxCounted {
		g.requests[request]++
	} else {
		g.dropped++
	}
	return g.down
}

func (g *gate) set(down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = down
}

// counts is what GET /NAME/requests answers.
type counts struct {
	Down     bool           `json:"down"`
	Requests map[string]int `json:"requests"` // by "METHOD path", since the start, outages included
	Dropped  int            `json:"dropped"`  // requests that are not counted by path since there are too many
}

func (g *gate) writeCounts(w http.ResponseWriter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(counts{g.down, g.requests, g.dropped}) //nolint:errcheck // the client went away
}

// control returns the server by which tests command the gates, each by its name.
func control(gates map[string]*gate) http.Handler {
	mux := http.NewServeMux()
	for name, g := range gates {
		mux.HandleFunc("POST /"+name+"/down", func(http.ResponseWriter, *http.Request) { g.set(true) })
		mux.HandleFunc("POST /"+name+"/up", func(http.ResponseWriter, *http.Request) { g.set(false) })
		mux.HandleFunc("GET /"+name+"/requests", func(w http.ResponseWriter, _ *http.Request) { g.writeCounts(w) })
	}
	return mux
}
