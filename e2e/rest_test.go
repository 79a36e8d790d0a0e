package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestNoRequestAtRest counts what an agent asks the API server, by its own metrics, while nothing changes: nothing. The
// lease, which is renewed all the time, is left out; a poll of Git is one small request.
func TestNoRequestAtRest(t *testing.T) {
	t.Parallel()
	c := startSimulated(t)
	s, err := newScript(c, "rest", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.image(t)
	s.release(t, 1, true)
	kubectl(t, c, fmt.Sprintf(killedSync, s.repository, "1s"), "apply", "--namespace=rest", "-f", "-")
	metrics := freeAddress(t)
	newAgent(t, c, "--leader-elect=false", "--metrics-address="+metrics)
	s.settled(t, 1, true)

	// The last writes of a release are its status and its events; what follows them is rest.
	const window = 5 * time.Second
	before, polls := requestsOf(t, metrics), s.polls(t)
	await(t, "a window of "+window.String()+" without a request", func() bool {
		time.Sleep(window)
		count, asked := requestsOf(t, metrics), s.polls(t)
		quiet := count == before && asked > polls
		t.Logf("in %s: %d requests to the API server, %d to Git", window, count-before, asked-polls)
		before, polls = count, asked
		return quiet
	})
}

func (s *script) polls(t *testing.T) int {
	t.Helper()
	counts, err := s.requests("git")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, count := range counts {
		total += count
	}
	return total
}

// requestsOf reads how many requests an agent has made to the API server.
func requestsOf(t *testing.T, address string) int {
	t.Helper()
	return metricOf(t, address, "rest_client_requests_total{")
}

// metricOf reads what an agent's metrics that begin so come to.
func metricOf(t *testing.T, address, prefix string) int {
	t.Helper()
	answer, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	total, found := 0, false
	for lines := bufio.NewScanner(io.LimitReader(answer.Body, 4<<20)); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), prefix) {
			continue
		}
		fields := strings.Fields(lines.Text())
		count, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			t.Fatal(err)
		}
		total, found = total+int(count), true
	}
	if !found {
		t.Fatalf("the agent has no metric %s", prefix)
	}
	return total
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := freeLoopback()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// freeLoopback is an address of this machine that nobody listens at.
func freeLoopback() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
