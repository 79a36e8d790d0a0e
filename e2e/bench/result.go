package main

// Result is what came of a step of a scenario.
type Result struct {
	Scenario string `json:"scenario"` // such as "apps"
	Step     string `json:"step"`     // such as "first deploy"
	N        int    `json:"n"`        // how many Syncs, or objects of one Sync
	// Seconds are belay's, one for each try. What they are from and to is the step's matter.
	Seconds []float64 `json:"seconds"`
	// Floor are the seconds of the bare client for the same objects, and Applies those for its applies alone.
	Floor   []float64 `json:"floorSeconds,omitempty"`
	Applies []float64 `json:"floorAppliesSeconds,omitempty"`
	// Cost is that of all tries.
	Cost
	FloorRequests requests `json:"floorRequests,omitempty"`
	// Figures are others that the step has, by what they are.
	Figures map[string]float64 `json:"figures,omitempty"`
	Notes   []string           `json:"notes,omitempty"`
}

// tries is how often the step was made.
func (r *Result) tries() int { return max(1, len(r.Seconds)) }

// ratio is belay's median to the floor's; 0 if one of them is not there.
func (r *Result) ratio() float64 {
	if len(r.Seconds) == 0 || len(r.Floor) == 0 {
		return 0
	}
	return median(r.Seconds) / median(r.Floor)
}

// add joins a repetition of the same step: times side by side, and the most of everything else.
func (r *Result) add(other *Result) {
	r.Seconds = append(r.Seconds, other.Seconds...)
	r.Floor = append(r.Floor, other.Floor...)
	r.Applies = append(r.Applies, other.Applies...)
	r.RSS, r.BelowRSS = max(r.RSS, other.RSS), max(r.BelowRSS, other.BelowRSS)
	for name, figure := range other.Figures {
		r.Figures[name] = max(r.Figures[name], figure)
	}
	if r.FloorRequests == nil {
		r.FloorRequests = other.FloorRequests
	}
}

// results are those of a run, in order.
type results struct{ all []*Result }

// find is a step's result; nil if it was not made.
func (r *results) find(scenario, step string, n int) *Result {
	for _, each := range r.all {
		if each.Scenario == scenario && each.Step == step && each.N == n {
			return each
		}
	}
	return nil
}

// put adds a result to the one of the same step, if there is one.
func (r *results) put(one *Result) {
	if before := r.find(one.Scenario, one.Step, one.N); before != nil {
		before.add(one)
		return
	}
	if one.Figures == nil {
		one.Figures = map[string]float64{}
	}
	r.all = append(r.all, one)
}
