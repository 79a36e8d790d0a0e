package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSampleReadsALineOfTheMetrics(t *testing.T) {
	for line, want := range map[string]struct {
		name  string
		dry   string
		value int
		ok    bool
	}{
		`apiserver_request_total{code="200",dry_run="All",verb="APPLY"} 12`:                      {"apiserver_request_total", "All", 12, true},
		`apiserver_flowcontrol_dispatched_requests_total{flow_schema="x",dry_run=""} 1.2e+06`:    {"apiserver_flowcontrol_dispatched_requests_total", "", 1200000, true},
		`# TYPE apiserver_request_total counter`:                                                 {},
		`apiserver_request_duration_seconds_count{verb="GET"} 3`:                                 {},
		`apiserver_request_total{code="200"`:                                                     {},
		`apiserver_request_total{code="200"} many`:                                               {},
		`apiserver_flowcontrol_rejected_requests_total{flow_schema="a",reason="queue-full"} 7.0`: {"apiserver_flowcontrol_rejected_requests_total", "", 7, true},
	} {
		name, labels, value, ok := sample(line)
		if name != want.name || labels["dry_run"] != want.dry || value != want.value || ok != want.ok {
			t.Errorf("%s: %q %q %d %t", line, name, labels["dry_run"], value, ok)
		}
	}
}

func TestRequestsLeaveLeasesAndWatchesOutOfTheTotal(t *testing.T) {
	before := requests{"patch": 2, "lease": 7}
	now := requests{"patch": 5, "lease": 9, "watch": 3, "dry run": 1, "turned away": 4}
	difference := now.less(before)
	if diff := cmp.Diff(requests{"patch": 3, "lease": 2, "watch": 3, "dry run": 1, "turned away": 4}, difference); diff != "" {
		t.Error(diff)
	}
	if difference.total() != 4 {
		t.Errorf("the total is %d", difference.total())
	}
}

func TestEachFlowIsCountedSomewhere(t *testing.T) {
	for _, f := range flows {
		if f.name != "lease" && f.name != "watch" && !strings.Contains(" "+strings.Join(kinds, " ")+" ", " "+f.name+" ") {
			t.Errorf("requests of the flow %s are in no total", f.name)
		}
	}
}

func TestPropertiesAreTheSameForASeedAndDifferentForEach(t *testing.T) {
	if properties(1, configMapSize) != properties(1, configMapSize) {
		t.Error("the same seed makes different texts")
	}
	if properties(1, configMapSize) == properties(2, configMapSize) {
		t.Error("different seeds make the same text")
	}
	c := configMaps{n: 200, namespace: "x"}
	if size := len(properties(3, configMapSize)); size > configMapSize || size < configMapSize-100 {
		t.Errorf("a text of %d bytes", size)
	}
	if ratio := c.compressed(); ratio < 2 || ratio > 8 {
		t.Errorf("they are made %.1f times smaller, which is not what settings are like", ratio)
	}
}

func TestGoals(t *testing.T) {
	rest := &Result{Scenario: "apps", Step: "rest", N: 100, Seconds: []float64{180}, Tries: 1, Belay: Cost{GitPolls: 4}, Figures: map[string]float64{cpuFigure: 2, intervalFigure: 60}}
	deploy := &Result{
		Scenario: "apps", Step: "first deploy", N: 100, Seconds: []float64{5, 9, 4}, Floor: []float64{4, 4}, Tries: 1,
		Belay: Cost{Requests: requests{"patch": 1150, "status": 200, "event": 50}, RSS: 130 << 20}, FloorCost: Cost{Requests: requests{"patch": 1000}},
	}
	all := &Result{Scenario: "apps", Step: "change all", N: 100, Seconds: []float64{5}, Tries: 1, Belay: Cost{RSS: 100 << 20}}
	one := &Result{Scenario: "apps", Step: "change one", N: 100, Seconds: []float64{1, 1}, Tries: 2, Belay: Cost{Requests: requests{"patch": 8, "status": 6, "event": 2, "watch": 9}}}
	alone := &Result{Scenario: "fairness", Step: aloneStep, N: 1, Seconds: []float64{1}}
	failing := &Result{Scenario: "fairness", Step: failingStep, N: 1000, Seconds: []float64{1.125}}
	var told []string
	for _, v := range reach(Results{rest, deploy, one, all, alone, failing}, goals) {
		met := "met"
		if !v.Met {
			met = "falls short"
		}
		told = append(told, v.What+": "+number(v.Figure)+" "+met)
	}
	want := []string{
		"at rest: requests (100): 0 met",
		"at rest: CPU (100): 2 falls short",
		"at rest: polls of the one repository (100): 1 met",
		"one app changed: requests (100): 8 met",
		"one app changed: requests but for statuses and events (100): 4 met",
		"first deploy: to the floor (100): 1.250 met",
		"first deploy: requests of a Sync of 4 objects, but for statuses and events (100): 11.5 met",
		"first deploy (100): 5 met",
		"peak memory (100): 130 falls short",
		"a Sync's deploy beside 1,000 that fail: delayed by (1000): 12.5 falls short",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
	stable := unmet(reach(Results{rest, deploy, one}, goals))
	if len(stable) != 0 {
		t.Errorf("CI fails for %v", stable)
	}
	deploy.Belay.Requests["list"] = 100
	if stable := unmet(reach(Results{rest, deploy, one}, goals)); len(stable) != 1 || !strings.Contains(stable[0].Error(), "first deploy: requests of a Sync") {
		t.Errorf("CI goes by %v", stable)
	}
}

func TestARepetitionAddsItsTimesAndKeepsTheFirstCost(t *testing.T) {
	var all Results
	all.put(&Result{Scenario: "a", Step: "b", N: 1, Floor: []float64{1}, FloorCost: Cost{Requests: requests{"patch": 2}}})
	all.put(&Result{Scenario: "a", Step: "b", N: 1, Seconds: []float64{2}, Belay: Cost{Requests: requests{"patch": 3}, RSS: 5}})
	all.put(&Result{Scenario: "a", Step: "b", N: 1, Seconds: []float64{4}, Belay: Cost{Requests: requests{"patch": 9}, RSS: 7}})
	if len(all) != 1 {
		t.Fatalf("%d results", len(all))
	}
	r := all[0]
	if ratio, ok := r.ratio(); !ok || ratio != 3 || r.requestsEach() != 3 || r.Belay.RSS != 7 {
		t.Errorf("ratio %v, %v requests, %d bytes", ratio, r.requestsEach(), r.Belay.RSS)
	}
}
