package cluster

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAGateClosesConnectionsWhileItIsDown(t *testing.T) {
	g := newGate(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "here") }))
	server := httptest.NewServer(g)
	defer server.Close()
	commands := httptest.NewServer(control(map[string]*gate{"git": g}))
	defer commands.Close()

	body := func(method, url string) string {
		t.Helper()
		req, err := http.NewRequest(method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return "closed"
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(data))
	}
	got := []string{
		body("GET", server.URL+"/a"),
		body("POST", commands.URL+"/git/down"),
		body("POST", server.URL+"/a"),
		body("GET", commands.URL+"/git/requests"),
		body("POST", commands.URL+"/git/up"),
		body("GET", server.URL+"/a"),
	}
	want := []string{"here", "", "closed", `{"down":true,"requests":{"GET /a":1,"POST /a":1},"dropped":0}`, "", "here"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}
