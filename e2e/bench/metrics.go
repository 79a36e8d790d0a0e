package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
)

// requests counts a user's requests by kind: the names of flows, and "dry run". "lease" and "watch" stand apart and are
// not in the total; a request that the API server turned away (429) is "turned away", and not in it either.
type requests map[string]int

// kinds are those of requests, in the order in which they are told.
var kinds = []string{"dry run", "patch", "create", "update", "delete", "get", "list", "secret", "status", "sync", "event", "other"}

// total is how many there are, leases and watches aside.
func (r requests) total() int {
	sum := 0
	for _, kind := range kinds {
		sum += r[kind]
	}
	return sum
}

func (r requests) less(before requests) requests {
	difference := requests{}
	for kind, count := range r {
		if count != before[kind] {
			difference[kind] = count - before[kind]
		}
	}
	return difference
}

func (r requests) String() string {
	var parts []string
	for _, kind := range append(append([]string{}, kinds...), "watch", "lease", "turned away") {
		if r[kind] != 0 {
			parts = append(parts, fmt.Sprintf("%d %s", r[kind], kind))
		}
	}
	return strings.Join(parts, ", ")
}

// requestsOf reads what a user has asked the API server so far. Dry runs are all users': belay and the floor are never at
// work at the same time, and nobody else makes any.
func (t *target) requestsOf(ctx context.Context, user string) (requests, error) {
	text, err := t.admin.do(ctx, "GET", "/metrics", "", nil)
	if err != nil {
		return nil, err
	}
	counts, dry := requests{}, map[string]int{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, labels, value, ok := sample(lines.Text())
		if !ok {
			continue
		}
		flow, ours := strings.CutPrefix(labels["flow_schema"], flowName(user, ""))
		switch {
		case name == "apiserver_flowcontrol_dispatched_requests_total" && ours:
			counts[flow] += value
		case name == "apiserver_flowcontrol_rejected_requests_total" && ours:
			counts["turned away"] += value
		case name == "apiserver_request_total" && labels["dry_run"] == "All":
			dry[labels["verb"]] += value
		}
	}
	for verb, kind := range map[string]string{"APPLY": "patch", "PATCH": "patch", "POST": "create", "PUT": "update", "DELETE": "delete"} {
		counts["dry run"] += dry[verb]
		counts[kind] -= dry[verb]
	}
	return counts, nil
}

// sample reads a line of the metrics' text format: `name{label="value",...} 12`. None of the labels that are asked for here
// holds a quotation mark or a comma.
func sample(line string) (name string, labels map[string]string, value int, ok bool) {
	if !strings.HasPrefix(line, "apiserver_request_total{") && !strings.HasPrefix(line, "apiserver_flowcontrol_") {
		return "", nil, 0, false
	}
	name, rest, _ := strings.Cut(line, "{")
	inside, number, ok := strings.Cut(rest, "} ")
	if !ok {
		return "", nil, 0, false
	}
	count, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return "", nil, 0, false
	}
	labels = map[string]string{}
	for pair := range strings.SplitSeq(inside, ",") {
		label, text, _ := strings.Cut(pair, "=")
		labels[label] = strings.Trim(text, `"`)
	}
	return name, labels, int(count), true
}
