package main

import "fmt"

// Names of figures that goals are about.
const (
	cpuFigure      = "CPU, % of a core"
	pollsFigure    = "polls of Git per minute"
	intervalFigure = "source.interval, s"
	pollFigure     = "bytes from Git for one poll"
	peakFigure     = "median of the peaks, MiB"
)

// goal is what a figure of a step is to be at most.
type goal struct {
	what     string
	scenario string
	step     string
	n        int // 0 is each that was run
	figure   func(Results, *Result) (float64, bool)
	most     float64
	unit     string
	// stable says that the figure is the same on every machine: CI goes by it.
	stable bool
}

// Verdict is how a run came off by a goal.
type Verdict struct {
	What   string  `json:"what"`
	Most   float64 `json:"most"`
	Figure float64 `json:"figure"`
	Unit   string  `json:"unit"`
	Met    bool    `json:"met"`
	Stable bool    `json:"stable"`
}

// goals are those that belay has set itself.
var goals = []goal{
	{what: "at rest: requests", scenario: "apps", step: "rest", figure: total, most: 0, unit: "requests", stable: true},
	{what: "at rest: CPU", scenario: "apps", step: "rest", figure: named(cpuFigure), most: 1, unit: "% of a core"},
	{what: "at rest: polls of the one repository", scenario: "apps", step: "rest", figure: polls, most: 1, unit: "an interval"},
	{what: "a poll of a repository of 40,000 refs", scenario: "refs", step: "poll", figure: named(pollFigure), most: 999, unit: "bytes"},

	{what: "one app changed: requests", scenario: "apps", step: "change one", figure: each, most: 8, unit: "requests"},
	{what: "one app changed: requests but for statuses and events", scenario: "apps", step: "change one", figure: steadyEach, most: 5, unit: "requests", stable: true},
	{what: "one app changed: live", scenario: "apps", step: "change one", n: 1, figure: seconds, most: 0.15, unit: "s"},
	{what: "one app changed: live", scenario: "apps", step: "change one", n: 1000, figure: seconds, most: 0.15, unit: "s"},

	{what: "first deploy: to the floor", scenario: "apps", step: "first deploy", n: 100, figure: toFloor, most: 1.3, unit: "× the floor"},
	{what: "first deploy: to the floor", scenario: "apps", step: "first deploy", n: 1000, figure: toFloor, most: 1.3, unit: "× the floor"},
	{what: "first deploy: requests of a Sync of 4 objects, but for statuses and events", scenario: "apps", step: "first deploy", n: 100, figure: steadyOfSync, most: 11.5, unit: "requests", stable: true},
	{what: "first deploy", scenario: "apps", step: "first deploy", n: 100, figure: seconds, most: 6, unit: "s"},
	{what: "all changed: to the floor", scenario: "apps", step: "change all", n: 100, figure: toFloor, most: 1.3, unit: "× the floor"},
	{what: "all changed: to the floor", scenario: "apps", step: "change all", n: 1000, figure: toFloor, most: 1.3, unit: "× the floor"},
	{what: "peak memory", scenario: "apps", step: "change all", n: 100, figure: appsMemory, most: 120, unit: "MiB"},
	{what: "peak memory", scenario: "apps", step: "change all", n: 1000, figure: appsMemory, most: 200, unit: "MiB"},

	{what: "ConfigMaps, first apply: to the floor", scenario: "configmaps", step: "first apply", n: 5000, figure: toFloor, most: 1.3, unit: "× the floor"},
	{what: "ConfigMaps, first apply: peak memory", scenario: "configmaps", step: "first apply", n: 5000, figure: memory, most: 300, unit: "MiB"},
	{what: "ConfigMaps, one changed: live", scenario: "configmaps", step: "change one", n: 1000, figure: seconds, most: 0.5, unit: "s"},
	{what: "ConfigMaps, one changed: live", scenario: "configmaps", step: "change one", n: 5000, figure: seconds, most: 1, unit: "s"},
	{what: "ConfigMaps, one changed: requests", scenario: "configmaps", step: "change one", figure: each, most: 10, unit: "requests"},
	{what: "ConfigMaps, one changed: requests but for statuses and events", scenario: "configmaps", step: "change one", figure: steadyEach, most: 7, unit: "requests", stable: true},

	{what: "drift, deleted object: right again", scenario: "drift", step: "deleted object", figure: seconds, most: 0.25, unit: "s"},
	{what: "drift, changed field: right again", scenario: "drift", step: "changed field", figure: seconds, most: 0.25, unit: "s"},
	{what: "drift, added field: right again", scenario: "drift", step: "added field", figure: seconds, most: 0.25, unit: "s"},

	{what: "a Sync's deploy beside 1,000 that fail: delayed by", scenario: "fairness", step: failingStep, figure: delay, most: 10, unit: "%"},
	{what: "50,000 foreign ConfigMaps: add", scenario: "memory", step: foreignStep, figure: added, most: 5, unit: "MiB"},
}

// reach holds results against the goals. What was not run has no verdict.
func reach(results Results, goals []goal) []Verdict {
	var verdicts []Verdict
	for _, g := range goals {
		for _, r := range results {
			if r.Scenario != g.scenario || r.Step != g.step || g.n != 0 && g.n != r.N {
				continue
			}
			figure, there := g.figure(results, r)
			if !there {
				continue
			}
			verdicts = append(verdicts, Verdict{
				What: fmt.Sprintf("%s (%d)", g.what, r.N), Most: g.most, Figure: figure, Unit: g.unit, Met: figure <= g.most, Stable: g.stable,
			})
		}
	}
	return verdicts
}

func total(_ Results, r *Result) (float64, bool) {
	return float64(r.Belay.Requests.total()), true
}

func each(_ Results, r *Result) (float64, bool) { return r.requestsEach(), r.Tries > 0 }

// steady is how many requests there were but for statuses and events: of these a slow machine makes more, since what lasts
// longer than five seconds is told.
func steady(r *Result) float64 {
	return float64(r.Belay.Requests.total() - r.Belay.Requests["status"] - r.Belay.Requests["event"])
}

func steadyEach(_ Results, r *Result) (float64, bool) {
	return steady(r) / float64(max(1, r.Tries)), r.Tries > 0
}

// steadyOfSync has half a request for each of a hundred Syncs to spare: discovery and the first lists are once for all.
func steadyOfSync(_ Results, r *Result) (float64, bool) { return steady(r) / float64(r.N), r.Tries > 0 }

func seconds(_ Results, r *Result) (float64, bool) {
	if len(r.Seconds) == 0 {
		return 0, false
	}
	return median(r.Seconds), true
}

func toFloor(_ Results, r *Result) (float64, bool) { return r.ratio() }

func memory(_ Results, r *Result) (float64, bool) { return mebibytes(r.Belay.RSS), r.Tries > 0 }

// appsMemory is the peak over all that was done with so many Syncs.
func appsMemory(results Results, r *Result) (float64, bool) {
	var most int64
	for _, each := range results {
		if each.Scenario == r.Scenario && each.N == r.N {
			most = max(most, each.Belay.RSS)
		}
	}
	return mebibytes(most), most > 0
}

func named(name string) func(Results, *Result) (float64, bool) {
	return func(_ Results, r *Result) (float64, bool) {
		figure, there := r.Figures[name]
		return figure, there
	}
}

// polls is how often Git was asked in an interval of the Syncs at rest: one more in all than there are intervals is none too
// many.
func polls(_ Results, r *Result) (float64, bool) {
	interval := r.Figures[intervalFigure]
	if len(r.Seconds) == 0 || interval == 0 {
		return 0, false
	}
	return max(0, float64(r.Belay.GitPolls)-1) / (r.Seconds[0] / interval), true
}

// delay is by how many percent deploying takes longer beside Syncs that fail than alone.
func delay(results Results, r *Result) (float64, bool) {
	alone := results.find("fairness", aloneStep, 1)
	if alone == nil || len(alone.Seconds) == 0 || len(r.Seconds) == 0 {
		return 0, false
	}
	return 100 * (median(r.Seconds)/median(alone.Seconds) - 1), true
}

// added is by how much the peak is higher with foreign objects than without.
func added(results Results, r *Result) (float64, bool) {
	without := results.find("memory", nothingStep, r.N)
	if without == nil {
		return 0, false
	}
	return r.Figures[peakFigure] - without.Figures[peakFigure], true
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }
