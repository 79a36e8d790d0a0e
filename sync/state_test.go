package sync

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
)

// history is the records of releases 1, 2, … that came to these results, each with the objects of its number.
func history(results ...manifests.Result) []manifests.Record {
	var records []manifests.Record
	for i, result := range results {
		records = append(records, manifests.Record{
			Number: i + 1, Objects: string(rune('a' + i)), Options: "options",
			Outcome: manifests.Outcome{Result: result, Options: "options"},
		})
	}
	return records
}

func TestAStateIsReadFromTheJournalAlone(t *testing.T) {
	const (
		applying, good, superseded = manifests.Applying, manifests.Kept, manifests.Superseded
		rollingBack, rolledBack    = manifests.RollingBack, manifests.RolledBack
		rollbackFailed, failed     = manifests.RollbackFailed, manifests.Failed
	)
	number := func(r *manifests.Record) int {
		if r == nil {
			return 0
		}
		return r.Number
	}
	type facts struct {
		Newest, Kept, Running      int
		Settled, Open, RollingBack bool
	}
	for _, test := range []struct {
		name    string
		results []manifests.Result
		want    facts
	}{
		{"nothing was ever started", nil, facts{}},
		{"a first release is judged", []manifests.Result{applying}, facts{Newest: 1, Running: 1, Open: true}},
		{"it is kept", []manifests.Result{good}, facts{Newest: 1, Kept: 1, Running: 1, Settled: true}},
		{"it failed and stays", []manifests.Result{failed}, facts{Newest: 1, Running: 1}},
		{"the next is judged", []manifests.Result{good, applying}, facts{Newest: 2, Kept: 1, Running: 2, Open: true}},
		{"and kept", []manifests.Result{good, good}, facts{Newest: 2, Kept: 2, Running: 2, Settled: true}},
		{"or interrupted", []manifests.Result{good, superseded, applying}, facts{Newest: 3, Kept: 1, Running: 3, Open: true}},
		{"or is rolling back", []manifests.Result{good, rollingBack}, facts{Newest: 2, Kept: 1, Running: 1, RollingBack: true}},
		{"or was rolled back", []manifests.Result{good, rolledBack}, facts{Newest: 2, Kept: 1, Running: 1, Settled: true}},
		{"or in vain", []manifests.Result{good, rollbackFailed}, facts{Newest: 2, Kept: 1, Running: 1}},
		{"or failed without a rollback", []manifests.Result{good, failed}, facts{Newest: 2, Kept: 1, Running: 2}},
		{"the last kept one counts, not the last", []manifests.Result{good, good, rolledBack, rolledBack}, facts{Newest: 4, Kept: 2, Running: 2, Settled: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := StateOf(history(test.results...))
			got := facts{number(s.Newest), number(s.Kept), number(s.Running()), s.Settled(), s.Open(), s.RollingBack()}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReleasesWithoutAVerdictWereSuperseded(t *testing.T) {
	var got []manifests.Result
	for _, r := range Settled(history(manifests.Kept, manifests.Applying, manifests.RolledBack, manifests.Applying, manifests.Applying)) {
		got = append(got, r.Outcome.Result)
	}
	want := []manifests.Result{manifests.Kept, manifests.Superseded, manifests.RolledBack, manifests.Superseded, manifests.Applying}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := Settled(nil); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestDispose(t *testing.T) {
	const good, rolledBack = manifests.Kept, manifests.RolledBack
	for _, test := range []struct {
		name             string
		results          []manifests.Result
		objects, options string
		retry            bool
		want             Disposition
	}{
		{"the first is started", nil, "a", "options", false, Start},
		{"the one under way goes on", []manifests.Result{manifests.Applying}, "a", "options", false, Continue},
		{"under another spec too", []manifests.Result{manifests.Applying}, "a", "other", false, Continue},
		{"and however often it is asked for", []manifests.Result{manifests.Applying}, "a", "options", true, Continue},
		{"another one interrupts it", []manifests.Result{manifests.Applying}, "z", "options", false, Start},
		{"even the kept one does", []manifests.Result{good, manifests.Applying}, "a", "options", false, Start},
		{"the kept one rests", []manifests.Result{good}, "a", "options", false, Rest},
		{"under another spec too, and when asked for", []manifests.Result{good}, "a", "other", true, Rest},
		{"another than the kept one is started", []manifests.Result{good}, "z", "options", false, Start},
		{"one kept before the last is started", []manifests.Result{good, good}, "a", "options", false, Start},
		{"the refused one is held", []manifests.Result{good, rolledBack}, "b", "options", false, Hold},
		{"unless the spec has changed", []manifests.Result{good, rolledBack}, "b", "other", false, Start},
		{"or it is asked for", []manifests.Result{good, rolledBack}, "b", "options", true, Start},
		{"the one that was rolled back to rests", []manifests.Result{good, rolledBack}, "a", "options", false, Rest},
		{"another than both is started", []manifests.Result{good, rolledBack}, "z", "options", false, Start},
		{"after a rollback in vain the refused one is held", []manifests.Result{good, manifests.RollbackFailed}, "b", "options", false, Hold},
		{"and the kept one is started", []manifests.Result{good, manifests.RollbackFailed}, "a", "options", false, Start},
		{"a failed one is held", []manifests.Result{manifests.Failed}, "a", "options", false, Hold},
		{"and started again when asked for", []manifests.Result{manifests.Failed}, "a", "options", true, Start},
		{"after a failed one without rollback the kept one is started", []manifests.Result{good, manifests.Failed}, "a", "options", false, Start},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := StateOf(history(test.results...)).Dispose(test.objects, test.options, test.retry); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
