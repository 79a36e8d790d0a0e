package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// auditEvent is what the API server's audit log says of a request that it has answered.
type auditEvent struct {
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	UserAgent  string `json:"userAgent"`
	ObjectRef  struct {
		Resource, Namespace, Name, APIGroup, Subresource string
	} `json:"objectRef"`
	ResponseStatus   struct{ Code int }        `json:"responseStatus"`
	ImpersonatedUser struct{ Username string } `json:"impersonatedUser"`
}

// isWrite tells whether belay changed, or tried to change, an application's object: its own Syncs, leases, events and
// stored releases are none, and a dry run writes nothing.
func (e auditEvent) isWrite() bool {
	reading := slices.Contains([]string{"get", "list", "watch"}, e.Verb)
	bookkeeping := e.ObjectRef.APIGroup == "belay.dev" || e.ObjectRef.Resource == "leases" || e.ObjectRef.Resource == "events" ||
		e.ObjectRef.Resource == "secrets" && (strings.HasPrefix(e.ObjectRef.Name, "belay.") || e.Verb == "deletecollection")
	return strings.HasPrefix(e.UserAgent, "belay/") && !reading && !bookkeeping && !strings.Contains(e.RequestURI, "dryRun=All")
}

// isCutOff tells a request whose client was gone before the answer, as that of a killed agent. It may have had its effect.
func (e auditEvent) isCutOff() bool { return e.ResponseStatus.Code >= 499 }

// audit reads the log from a position on, and answers the position of its end. A line that is half written counts
// the next time.
func (s *script) audit(from int64) ([]auditEvent, int64, error) {
	file, err := os.Open(s.AuditLog)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the audit log: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, from, math.MaxInt64-from))
	if err != nil {
		return nil, 0, fmt.Errorf("reading the audit log: %w", err)
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	var events []auditEvent
	for line := range bytes.Lines(text) {
		var e auditEvent
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, 0, fmt.Errorf("reading the audit log: %w", err)
		}
		events = append(events, e)
	}
	return events, from + int64(len(text)), nil
}

// cmdMark remembers where the audit log is, and what Git and the registries were asked: `mark`.
func cmdMark(ts *testscript.TestScript, _ bool, _ []string) {
	s := scriptOf(ts)
	_, end, err := s.audit(0)
	ts.Check(err)
	s.marked = end
	ts.Check(s.markRequests())
}

// cmdWrites prints belay's writes in the script's namespace since the last mark, and those of cluster-scoped objects
// that bear the namespace's name, or else "none": `writes`.
func cmdWrites(ts *testscript.TestScript, _ bool, _ []string) {
	s := scriptOf(ts)
	events, _, err := s.audit(s.marked)
	ts.Check(err)
	written := "none\n"
	for _, e := range events {
		if e.isWrite() && (e.ObjectRef.Namespace == s.namespace || strings.Contains(e.ObjectRef.Name, s.namespace)) {
			written = strings.TrimPrefix(written, "none\n")
			written += fmt.Sprintf("%s %s/%s %d\n", e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name, e.ResponseStatus.Code)
		}
	}
	fmt.Fprint(ts.Stdout(), written)
}

// requests counts what the Git server or the registry was asked, by "METHOD PATH".
func (s *script) requests(service string) (map[string]int, error) {
	answer, err := http.Get(s.Control + "/" + service + "/requests")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var counted struct {
		Requests map[string]int
		Dropped  int
	}
	if err := json.NewDecoder(answer.Body).Decode(&counted); err != nil {
		return nil, fmt.Errorf("reading what the %s server was asked: %w", service, err)
	}
	if counted.Dropped > 0 {
		return nil, fmt.Errorf("the %s server has not kept %d requests", service, counted.Dropped)
	}
	return counted.Requests, nil
}
