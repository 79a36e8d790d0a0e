// FAULTS, Registry: down, 5xx.

package sync

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// unreachable is a registry that is down.
var unreachable = fault{reason: "Unavailable", temporary: true}

// usingLast is an agent that keeps v1, with two images, and has v2 before it, which changes a ConfigMap only.
func usingLast(t testing.TB) *agent {
	t.Helper()
	w := newWorld()
	w.tags["acme/cart:1"], w.tags["acme/side:1"] = "sha256:one", "sha256:side"
	w.push("v1", config("vars", "1"), web("cart", "acme/cart:1"), web("side", "acme/side:1"))
	a := newAgent(t, w)
	a.spec.Images.OnFailure = v1alpha1.OnFailureUseLast
	a.until("v1", manifests.Kept)
	a.events = nil
	a.push("v2", config("vars", "2"), web("cart", "acme/cart:1"), web("side", "acme/side:1"))
	return a
}

// release reads one back.
func (a *agent) release(number int) manifests.Release {
	a.t.Helper()
	release, err := inJournal{a.world}.Load(a.t.Context(), number)
	if err != nil {
		a.t.Fatal(err)
	}
	return release
}

func TestARegistryThatIsDownIsStoodInForByTheLastRelease(t *testing.T) {
	a := usingLast(t)
	first := a.records[0].At
	a.tags["acme/side:1"] = "sha256:side2"
	a.away["acme/cart:1"] = unreachable
	a.now = a.now.Add(time.Hour)
	asked := a.now
	a.poll()
	event := a.out.Events[0]
	a.until("v2", manifests.Kept)
	if a.image("cart") != "acme/cart@sha256:one" || a.image("side") != "acme/side@sha256:side2" {
		t.Errorf("runs %s and %s", a.image("cart"), a.image("side"))
	}
	want := map[string]manifests.Resolution{"acme/cart:1": {At: first, Release: 1}, "acme/side:1": {At: asked}}
	if diff := cmp.Diff(want, a.release(2).Resolved); diff != "" {
		t.Error(diff)
	}
	t.Run("and says so", func(t *testing.T) {
		const told = "acme/cart:1 is taken from release 1, as acme/cart@sha256:one: no: Unavailable"
		if !event.Warning || event.Reason != "UsedLastDigest" || event.Message != told {
			t.Errorf("the event is %+v", event)
		}
		if got := a.status.Images; len(got) != 2 || got[0].FromRelease != 1 || !got[0].ResolvedAt.Time.Equal(first) || got[1].FromRelease != 0 {
			t.Errorf("the images are %+v", got)
		}
	})
	t.Run("also from a release that had it from another", func(t *testing.T) {
		a.push("v3", config("vars", "3"), web("cart", "acme/cart:1"), web("side", "acme/side:1"))
		a.poll()
		a.until("v3", manifests.Kept)
		if got := a.release(3).Resolved["acme/cart:1"]; got.Release != 2 || !got.At.Equal(first) {
			t.Errorf("resolved as %+v", got)
		}
	})
}

func TestOnlyARegistryThatIsDownIsStoodInFor(t *testing.T) {
	for _, test := range []struct {
		name string
		away map[string]fault
		want string // the problem; empty where the release starts
	}{
		{"Unavailable", map[string]fault{"acme/cart:1": unreachable}, ""},
		{"Timeout", map[string]fault{"acme/cart:1": {reason: "Timeout", temporary: true}}, ""},
		{"TooManyRequests", map[string]fault{"acme/cart:1": {reason: "TooManyRequests", temporary: true, after: time.Hour}}, ""},
		{"Busy", map[string]fault{"acme/cart:1": {reason: "Busy", temporary: true}}, ""},
		{"both down", map[string]fault{"acme/cart:1": unreachable, "acme/side:1": {reason: "Timeout", temporary: true}}, ""},
		{"NotFound", map[string]fault{"acme/cart:1": {reason: "NotFound", temporary: true}}, "NotFound"},
		{"Unauthorized", map[string]fault{"acme/cart:1": {reason: "Unauthorized", temporary: true}}, "Unauthorized"},
		{"DigestMismatch", map[string]fault{"acme/cart:1": {reason: "DigestMismatch"}}, "DigestMismatch"},
		{"PlatformMissing", map[string]fault{"acme/cart:1": {reason: "PlatformMissing"}}, "PlatformMissing"},
		{"one down, one not found", map[string]fault{"acme/cart:1": {reason: "NotFound", temporary: true}, "acme/side:1": unreachable}, "NotFound"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := usingLast(t)
			a.away = test.away
			wrote := only(a.poll(), writes)
			switch {
			case test.want == "" && (a.out.Problem != nil || len(a.records) != 2):
				t.Errorf("problem %+v, %d releases", a.out.Problem, len(a.records))
			case test.want != "" && (a.out.Problem == nil || a.out.Problem.Reason != test.want || len(wrote) > 0):
				t.Errorf("problem %+v, wrote %v", a.out.Problem, wrote)
			}
			if told := slices.Contains(a.events, "UsedLastDigest"); told != (test.want == "") {
				t.Errorf("the events are %v", a.events)
			}
		})
	}
}

func TestNothingStartsWhileARegistryIsDown(t *testing.T) {
	for name, change := range map[string]func(a *agent){
		"by default":                            func(a *agent) { a.spec.Images.OnFailure = "" },
		"with onFailure: Fail":                  func(a *agent) { a.spec.Images.OnFailure = v1alpha1.OnFailureFail },
		"with an image that no release has":     func(a *agent) { a.push("v2", web("cart", "acme/cart:1"), web("side", "acme/side:2")) },
		"where people ask what the tags are":    func(a *agent) { a.asked[v1alpha1.AnnotationResolveAt] = "now" },
		"where something else is wrong as well": func(a *agent) { a.refuse["Pin"] = errors.Join(unreachable, errors.New("no journal")) },
	} {
		t.Run(name, func(t *testing.T) {
			a := usingLast(t)
			away := unreachable
			away.after = 40 * time.Minute
			a.away = map[string]fault{"acme/cart:1": away, "acme/side:2": away}
			a.tags["acme/side:2"] = "sha256:side2"
			change(a)
			if wrote := only(a.poll(), writes); len(wrote) > 0 || a.out.Problem == nil || !a.out.Problem.Temporary {
				t.Errorf("wrote %v, problem %+v", wrote, a.out.Problem)
			}
			if a.refuse["Pin"] == nil {
				from := len(a.requests)
				a.passAfter(39 * time.Minute)
				if len(a.requests) != from {
					t.Error("it is asked again before the time that it asked for")
				}
			}
			clear(a.refuse)
			clear(a.away)
			a.forAWhile(2 * time.Hour)
			if a.out.Problem != nil || len(a.records) != 2 {
				t.Errorf("and then: problem %+v, %d releases", a.out.Problem, len(a.records))
			}
		})
	}
}

func TestADigestThatWasRolledBackStandsInForNothing(t *testing.T) {
	a := usingLast(t)
	a.tags["acme/cart:1"] = "sha256:two"
	a.settle()
	if a.image("cart") != "acme/cart@sha256:two" {
		t.Fatalf("runs %s", a.image("cart"))
	}
	a.takeBack("now", "")
	a.settle()
	a.push("v3", config("vars", "3"), web("cart", "acme/cart:1"), web("side", "acme/side:1"))
	a.away["acme/cart:1"] = unreachable
	a.settle()
	if a.image("cart") != "acme/cart@sha256:one" || a.status.Deployed.Commit != "v3" {
		t.Errorf("runs %s of %s", a.image("cart"), a.status.Deployed.Commit)
	}
	t.Run("also where no other release has the image", func(t *testing.T) {
		a := usingLast(t)
		a.records[0].Outcome.Suspects = manifests.Pins{"acme/cart:1": "acme/cart@sha256:one"}
		a.away["acme/cart:1"] = unreachable
		a.poll()
		if len(a.records) != 1 || a.out.Problem == nil {
			t.Errorf("%d releases, problem %+v", len(a.records), a.out.Problem)
		}
	})
}

func TestWhatStoodInIsReplacedWhereTagsAreFollowed(t *testing.T) {
	a := following(t)
	a.spec.Images.OnFailure = v1alpha1.OnFailureUseLast
	a.settle()
	a.tags["acme/cart:1"] = "sha256:two"
	a.away["acme/cart:1"] = unreachable
	a.push("v2", config("vars", "2"), web("cart", "acme/cart:1"), web("side", "acme/side:1"))
	a.poll()
	a.until("v2", manifests.Kept)
	if a.image("cart") != "acme/cart@sha256:one" {
		t.Fatalf("runs %s", a.image("cart"))
	}
	clear(a.away)
	a.forAWhile(7 * time.Minute)
	if a.image("cart") != "acme/cart@sha256:two" || a.out.Problem != nil {
		t.Errorf("runs %s, problem %+v", a.image("cart"), a.out.Problem)
	}
}

func TestARestartWithoutARegistryGoesOnWithWhatIsTried(t *testing.T) {
	cart := manifests.ID{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	for name, begin := range map[string]func(a *agent){
		"a tag that has moved": func(a *agent) { a.tags["acme/cart:1"] = "sha256:slow" },
		"a tag that was rolled back, and that people want tried again": func(a *agent) {
			a.tags["acme/cart:1"] = "sha256:slow-bad"
			a.forAWhile(20 * time.Minute)
			a.well[cart] = true
			a.asked[v1alpha1.AnnotationRetryAt] = "now"
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := following(t)
			a.spec.Images.OnFailure = v1alpha1.OnFailureUseLast
			a.settle()
			begin(a)
			for range 100 {
				if a.result() == manifests.Applying {
					break
				}
				a.passAfter(10 * time.Second)
			}
			count, image := len(a.records), a.image("cart")
			if a.result() != manifests.Applying || image != "acme/cart@"+a.tags["acme/cart:1"] {
				t.Fatalf("%s, runs %s", a.result(), image)
			}
			a.away["acme/cart:1"] = unreachable
			a.restart()
			a.pass()
			a.well[cart] = true
			a.forAWhile(20 * time.Minute)
			clear(a.away)
			a.forAWhile(20 * time.Minute)
			if len(a.records) != count || a.image("cart") != image || a.result() != manifests.Kept {
				t.Errorf("runs %s, %s, %d releases instead of %d", a.image("cart"), a.result(), len(a.records), count)
			}
		})
	}
}

func TestTheLastGoodReleasesComeInTheirOrder(t *testing.T) {
	const good, rolledBack, failed, applying = manifests.Kept, manifests.RolledBack, manifests.Failed, manifests.Applying
	for _, test := range []struct {
		results []manifests.Result
		change  func(records []manifests.Record)
		want    []int
	}{
		{results: nil},
		{results: []manifests.Result{good, good, manifests.Superseded, good}, want: []int{4, 2, 1}},
		{results: []manifests.Result{good, good, applying}, want: []int{2, 1, 3}},
		{results: []manifests.Result{failed}, want: []int{1}},
		{results: []manifests.Result{good, good, rolledBack}, want: []int{2, 1},
			change: func(r []manifests.Record) { r[2].Outcome.To = 2 }},
		{results: []manifests.Result{good, good, rolledBack}, want: []int{1, 3, 2},
			change: func(r []manifests.Record) { r[2].Outcome.To, r[2].Outcome.Healthy = 1, true }},
	} {
		t.Run(fmt.Sprint(test.results), func(t *testing.T) {
			records := history(test.results...)
			if test.change != nil {
				test.change(records)
			}
			var got []int
			for _, r := range lastGood(records) {
				got = append(got, r.Number)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAResolversErrorIsTakenApart(t *testing.T) {
	a, b, c := fault{reason: "A", subject: "a:1"}, fault{reason: "B", subject: "b:1"}, fault{reason: "C", subject: "c:1"}
	for _, test := range []struct {
		name string
		err  error
		want []string
		all  bool
	}{
		{"one", a, []string{"a:1"}, true},
		{"several", errors.Join(a, b), []string{"a:1", "b:1"}, true},
		{"several, told with more words", fmt.Errorf("pinning: %w", errors.Join(a, fmt.Errorf("and: %w", b))), []string{"a:1", "b:1"}, true},
		{"joined twice", errors.Join(errors.Join(a, b), c), []string{"a:1", "b:1", "c:1"}, true},
		{"one that is of no image", errors.Join(a, errors.New("stopped")), []string{"a:1"}, false},
		{"nothing else", errors.New("stopped"), nil, false},
		{"nothing", nil, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			faults, all := imageFaults(test.err)
			var got []string
			for _, f := range faults {
				got = append(got, f.Subject())
			}
			if diff := cmp.Diff(test.want, got); diff != "" || all != test.all {
				t.Errorf("all: %t%s", all, diff)
			}
		})
	}
}

func TestReleasesSayHowTheirImagesWereResolved(t *testing.T) {
	t.Run("when they were", func(t *testing.T) {
		a := kept(t)
		want := map[string]manifests.Resolution{"acme/cart:1": {At: a.resolvedAt}}
		if diff := cmp.Diff(want, a.release(1).Resolved); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("also after a revert", func(t *testing.T) {
		a := kept(t)
		first := a.resolvedAt
		a.now = a.now.Add(time.Hour)
		a.pushGood()
		a.settle()
		a.now = a.now.Add(time.Hour)
		a.head = "v1"
		a.settle()
		if len(a.records) != 3 || !a.status.Images[0].ResolvedAt.Time.Equal(first) {
			t.Errorf("%d releases, %+v, first resolved at %s", len(a.records), a.status.Images, first)
		}
	})
	t.Run("also of a release that an earlier belay stored", func(t *testing.T) {
		a := kept(t)
		first := a.records[0].At
		at := fmt.Sprintf(`"resolved":{"acme/cart:1":{"at":%q}},`, a.resolvedAt.Format(time.RFC3339Nano))
		if !strings.Contains(a.releases[1], at) {
			t.Fatalf("%s is not in %s", at, a.releases[1])
		}
		a.releases[1] = strings.Replace(a.releases[1], at, "", 1)
		a.pushGood()
		a.settle()
		a.now = a.now.Add(time.Hour)
		a.head = "v1"
		a.settle()
		want := map[string]manifests.Resolution{"acme/cart:1": {At: first}}
		if diff := cmp.Diff(want, a.release(3).Resolved); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("and of a tag that is held back, how the kept release did", func(t *testing.T) {
		a := following(t)
		first := a.release(1).Resolved["acme/cart:1"].At
		a.tags["acme/cart:1"] = "sha256:bad"
		a.forAWhile(20 * time.Minute)
		a.push("v2", config("vars", "2"), web("cart", "acme/cart:1"), web("side", "acme/side:1"))
		a.poll()
		a.until("v2", manifests.Kept)
		if got := a.release(3).Resolved["acme/cart:1"].At; a.image("cart") != "acme/cart@sha256:one" || !got.Equal(first) {
			t.Errorf("runs %s, resolved at %s, the kept release at %s", a.image("cart"), got, first)
		}
	})
}
