package e2e

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdRegistry runs a docker-registry of the script's own: `registry start [basic|token USER PASSWORD]`, `registry stop`,
// and `registry start` for it to come back as it was. It is at $PRIVATE, which the agent is told of in $CERTSD.
func cmdRegistry(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	switch {
	case slices.Equal(args, []string{"stop"}) && s.private != nil:
		ts.Check(s.private.stop())
	case slices.Equal(args, []string{"start"}) && s.private != nil:
		ts.Check(s.private.start())
	case len(args) == 1 && args[0] == "start":
		s.openRegistry(ts, access{})
	case len(args) == 4 && args[0] == "start" && (args[1] == "basic" || args[1] == "token"):
		s.openRegistry(ts, access{User: args[2], Password: args[3], Tokens: args[1] == "token"})
	default:
		ts.Fatalf("usage: registry start [basic|token USER PASSWORD], registry stop")
	}
}

func (s *script) openRegistry(ts *testscript.TestScript, a access) {
	dir, err := os.MkdirTemp(ts.Getenv("WORK"), "registry-")
	ts.Check(err)
	s.private, err = newPrivateRegistry(dir, a)
	ts.Check(err)
	ts.Defer(func() { s.private.end() }) //nolint:errcheck // it may be down
	ts.Check(s.private.declare(s.certsD))
	ts.Setenv("PRIVATE", s.private.address)
}

// cmdRequests prints what the Git server, the registry or the script's own registry was asked since the last mark, each line
// "COUNT METHOD PATH", or "none": `requests git|registry|private [REGEXP]`. With an expression, only what matches it counts;
// without a mark all counts. The first two have the requests of everybody, and their pushes.
func cmdRequests(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: requests git|registry|private [REGEXP]")
	}
	s := scriptOf(ts)
	want, err := regexp.Compile(strings.Join(args[1:], ""))
	ts.Check(err)
	now, err := s.asked(args[0])
	ts.Check(err)
	var lines []string
	for request, count := range now {
		if count -= s.markedRequests[args[0]][request]; count > 0 && want.MatchString(request) {
			lines = append(lines, fmt.Sprintf("%d %s", count, request))
		}
	}
	slices.Sort(lines)
	if len(lines) == 0 {
		lines = []string{"none"}
	}
	fmt.Fprintln(ts.Stdout(), strings.Join(lines, "\n"))
}

// asked counts what a service was asked since it started, by "METHOD PATH".
func (s *script) asked(service string) (map[string]int, error) {
	if service != "private" {
		return s.requests(service)
	}
	counts := map[string]int{}
	if s.private == nil {
		return counts, nil
	}
	asked, err := s.private.asked()
	for _, request := range asked {
		counts[request]++
	}
	return counts, err
}

// markRequests remembers what has been asked until now.
func (s *script) markRequests() error {
	s.markedRequests = map[string]map[string]int{}
	for _, service := range []string{"git", "registry", "private"} {
		counts, err := s.asked(service)
		if err != nil {
			return err
		}
		s.markedRequests[service] = counts
	}
	return nil
}
