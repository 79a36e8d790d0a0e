//go:build failpoint

package cluster

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
)

// failpoints stop the process before each write request is sent, and again when its answer has come and the caller
// has not seen it yet. Every step that counts is such a request, so that no step needs a failpoint of its own.
//
// At a point, "before PATCH deployments/hello", its name goes to the Unix socket that BELAY_FAILPOINTS names, and the
// answer is awaited: "panic" panics, anything else, and a closed connection, goes on. A test that wants the process
// killed or stopped there does so before it answers.
func failpoints(next http.RoundTripper) http.RoundTripper {
	socket := os.Getenv("BELAY_FAILPOINTS")
	if socket == "" {
		return next
	}
	return transport{next, func(next http.RoundTripper, request *http.Request) (*http.Response, error) {
		name := pointName(request)
		if name == "" {
			return next.RoundTrip(request)
		}
		pause(socket, "before "+name)
		response, err := next.RoundTrip(request)
		pause(socket, "after "+name)
		return response, err
	}}
}

func pause(socket, point string) {
	connection, err := net.Dial("unix", socket)
	if err != nil {
		return // nobody cares any more
	}
	defer connection.Close()
	if _, err := connection.Write([]byte(point + "\n")); err != nil {
		return
	}
	answer, _ := bufio.NewReader(connection).ReadString('\n')
	if strings.TrimSpace(answer) == "panic" {
		panic("failpoint " + point)
	}
}

// pointName names a write: "PATCH syncs/app/status". It is empty for what is no step of a release: reads, dry runs,
// leases and events.
func pointName(request *http.Request) string {
	if !isWrite(request) {
		return ""
	}
	// api/v1/… or apis/GROUP/v1/…, then namespaces/NAME/… for what is in one.
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	skip := map[string]int{"api": 2, "apis": 3}[parts[0]]
	if skip == 0 || len(parts) <= skip {
		return ""
	}
	parts = parts[skip:]
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	if slices.Contains([]string{"leases", "events"}, parts[0]) {
		return ""
	}
	if len(parts) == 1 {
		parts = append(parts, bodyName(request)+request.URL.Query().Get("labelSelector"))
	}
	return request.Method + " " + strings.Join(parts, "/")
}

// bodyName is the name of the object that a request creates.
func bodyName(request *http.Request) string {
	if request.Method != http.MethodPost || request.GetBody == nil {
		return ""
	}
	body, err := request.GetBody()
	if err != nil {
		return ""
	}
	defer body.Close()
	var object struct{ Metadata struct{ Name string } }
	_ = json.NewDecoder(body).Decode(&object) // without a name it is named by its kind alone
	return object.Metadata.Name
}
