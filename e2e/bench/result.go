package main

// Result is what came of a step of a scenario.
type Result struct {
	Scenario string `json:"scenario"` // such as "apps"
	Step     string `json:"step"`     // such as "first deploy"
	N        int    `json:"n"`        // how many Syncs, or objects of one Sync
	// Seconds are belay's, one for each try. What they are from and to is the step's matter.
	Seconds []float64 `json:"seconds,omitempty"`
	// Belay is what so many tries took of this machine together.
	Belay Cost `json:"belay"`
	Tries int  `json:"tries"`
	// Floor are the seconds of the bare client for the same objects, Observed those until the controllers are done with them,
	// too, and Applies those for its applies alone.
	Floor     []float64 `json:"floorSeconds,omitempty"`
	Observed  []float64 `json:"floorObservedSeconds,omitempty"`
	FloorCost Cost      `json:"floor,omitzero"`
	Applies   []float64 `json:"floorAppliesSeconds,omitempty"`
	// Figures are others that the step has, by what they are.
	Figures map[string]float64 `json:"figures,omitempty"`
	Notes   []string           `json:"notes,omitempty"`
}

// ratio is belay's median to the floor's. It is false if one of them is not there.
func (r *Result) ratio() (float64, bool) {
	if len(r.Seconds) == 0 || len(r.Floor) == 0 {
		return 0, false
	}
	return median(r.Seconds) / median(r.Floor), true
}

// requestsEach is how many requests a try took.
func (r *Result) requestsEach() float64 {
	return float64(r.Belay.Requests.total()) / float64(max(1, r.Tries))
}

// add joins a repetition of the same step: times side by side, the most memory, and the cost of the first time.
func (r *Result) add(other *Result) {
	r.Seconds = append(r.Seconds, other.Seconds...)
	r.Floor = append(r.Floor, other.Floor...)
	r.Observed = append(r.Observed, other.Observed...)
	r.Applies = append(r.Applies, other.Applies...)
	rss, below := max(r.Belay.RSS, other.Belay.RSS), max(r.Belay.BelowRSS, other.Belay.BelowRSS)
	if r.Belay.Requests == nil {
		r.Belay, r.Tries = other.Belay, other.Tries
	}
	r.Belay.RSS, r.Belay.BelowRSS = rss, below
	if r.FloorCost.Requests == nil {
		r.FloorCost = other.FloorCost
	}
	for name, figure := range other.Figures {
		r.Figures[name] = max(r.Figures[name], figure)
	}
	if len(r.Notes) == 0 {
		r.Notes = other.Notes
	}
}

// Results are those of a run, in order.
type Results []*Result

// find is a step's result; nil if it was not made.
func (r Results) find(scenario, step string, n int) *Result {
	for _, each := range r {
		if each.Scenario == scenario && each.Step == step && each.N == n {
			return each
		}
	}
	return nil
}

// put adds a result to the one of the same step, if there is one.
func (r *Results) put(one *Result) {
	if one.Figures == nil {
		one.Figures = map[string]float64{}
	}
	if one.Tries == 0 {
		one.Tries = len(one.Seconds)
	}
	if before := r.find(one.Scenario, one.Step, one.N); before != nil {
		before.add(one)
		return
	}
	*r = append(*r, one)
}
