package sync

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// registries is a Resolver for many Syncs that shares answers as PinRequest.Since says, and counts the requests that
// are left.
type registries struct {
	now     time.Time
	tags    map[string]string
	answers map[string]time.Time
	heads   int
	gaps    map[string][]time.Duration // by image: from one request to the next
}

func (r *registries) Pin(_ context.Context, request PinRequest) (manifests.Pins, map[string]manifests.Resolution, error) {
	pins, resolved := manifests.Pins{}, map[string]manifests.Resolution{}
	for _, image := range manifests.ImageNames(request.Images) {
		if last, asked := r.answers[image]; !asked || !last.After(request.Since) {
			r.heads++
			if asked {
				r.gaps[image] = append(r.gaps[image], r.now.Sub(last))
			}
			r.answers[image] = r.now
		}
		name, _, _ := strings.Cut(image, ":")
		pins[image], resolved[image] = name+"@"+r.tags[image], manifests.Resolution{At: r.answers[image]}
	}
	return pins, resolved, nil
}

func (r *registries) Verify(context.Context, PinRequest, manifests.Pins, []v1alpha1.ImageVerification) error {
	return nil
}

func (r *registries) Missing(context.Context, PinRequest) ([]string, error) { return nil, nil }

// fleet is many Syncs that follow their tags, and the time of each one's next pass.
type fleet struct {
	*registries
	agents []*agent
	due    []time.Time
}

const followInterval = 5 * time.Minute

// newFleet has count Syncs, of which each runs the images that it is given, as from when it starts.
func newFleet(t *testing.T, count int, images func(sync int) []int, start func(sync int) time.Duration) *fleet {
	f := &fleet{registries: &registries{now: noon, tags: map[string]string{}, answers: map[string]time.Time{}, gaps: map[string][]time.Duration{}}}
	for i := range 50 {
		f.tags[fmt.Sprintf("acme/app%d:1", i)] = "sha256:one"
	}
	for n := range count {
		w := newWorld()
		var objects []map[string]any
		for _, i := range images(n) {
			objects = append(objects, web(fmt.Sprintf("app%d", i), fmt.Sprintf("acme/app%d:1", i)))
		}
		w.push("v1", objects...)
		a := newAgent(t, w)
		if start(n) == 0 {
			w.seen["v1"] = noon.Add(-time.Second) // by whichever of them was first
		}
		a.syncer.Name, a.syncer.Resolver = fmt.Sprintf("shop%d", n), f.registries
		a.spec.Source.Interval = metav1.Duration{Duration: time.Hour}
		a.spec.Images = v1alpha1.Images{Resolve: v1alpha1.ResolveFollow, Interval: metav1.Duration{Duration: followInterval}}
		f.agents, f.due = append(f.agents, a), append(f.due, noon.Add(start(n)))
	}
	return f
}

// run makes the passes that are due before end, in their order, and answers how many requests they made.
func (f *fleet) run(end time.Time) int {
	before := f.heads
	for {
		next := 0
		for i, due := range f.due {
			if due.Before(f.due[next]) {
				next = i
			}
		}
		if !f.due[next].Before(end) {
			f.now = end
			return f.heads - before
		}
		a := f.agents[next]
		f.now = f.due[next]
		a.world.now = f.now
		a.pass()
		f.due[next] = f.now.Add(a.out.Next)
	}
}

func TestAThousandSyncsAskForATagOnceInAnInterval(t *testing.T) {
	inPart := func(sync int) []int {
		return []int{sync % 50, (sync*7 + 3) % 50, (sync*13 + 21) % 50, (sync / 50 * 11) % 50}
	}
	unique := func(images func(int) []int) func(int) []int {
		return func(sync int) []int { list := images(sync); slices.Sort(list); return slices.Compact(list) }
	}
	for _, test := range []struct {
		name   string
		images func(sync int) []int
		start  func(sync int) time.Duration
	}{
		{"that start together with the same images",
			func(int) []int { return []int{0, 1, 2, 3} },
			func(int) time.Duration { return 0 }},
		{"that start together with images that overlap in part", unique(inPart),
			func(int) time.Duration { return 0 }},
		{"that start one after another with images that overlap in part", unique(inPart),
			func(sync int) time.Duration { return time.Duration(sync) * 420 * time.Millisecond }},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFleet(t, 1000, test.images, test.start)
			all := map[int]bool{}
			for i := range f.agents {
				for _, image := range test.images(i) {
					all[image] = true
				}
			}
			first := f.run(noon.Add(time.Millisecond))
			if first > len(all) {
				t.Errorf("%d requests for %d images of the first releases", first, len(all))
			}
			begun := noon.Add(8 * time.Minute) // all have started
			f.run(begun)
			clear(f.gaps)
			for i := range 3 {
				if i == 1 {
					f.tags["acme/app0:1"] = "sha256:two"
				}
				if heads := f.run(begun.Add(time.Duration(i+1) * followInterval)); heads > len(all) || heads < len(all)/2 {
					t.Errorf("%d requests for %d images in interval %d", heads, len(all), i+1)
				}
			}
			f.run(f.now.Add(time.Minute))
			for image, gaps := range f.gaps {
				if shortest, longest := slices.Min(gaps), slices.Max(gaps); shortest < followInterval || longest > followInterval*112/100 {
					t.Errorf("%s was asked for after %s and after %s", image, shortest, longest)
				}
			}
			if len(f.gaps) != len(all) {
				t.Errorf("%d of %d images were asked for again", len(f.gaps), len(all))
			}
			for i, a := range f.agents {
				if want, got := cmp.Or(a.image("app0"), "acme/app0@sha256:two"), "acme/app0@sha256:two"; want != got {
					t.Fatalf("Sync %d runs %s", i, a.image("app0"))
				}
			}
		})
	}
}

func TestIntervalsAreAtMostATenthLongerAndStayTheSame(t *testing.T) {
	want := Want{Spec: v1alpha1.Spec{Images: v1alpha1.Images{Interval: metav1.Duration{Duration: 10 * time.Minute}}}}
	seen := map[time.Duration]bool{}
	for i := range 1000 {
		s := &Syncer{Namespace: "shop", Name: fmt.Sprint(i)}
		interval := s.interval(want)
		if interval < 10*time.Minute || interval > 11*time.Minute || interval != s.interval(want) {
			t.Fatalf("%s, and then %s", interval, s.interval(want))
		}
		seen[interval.Round(time.Second)] = true
	}
	if len(seen) < 50 {
		t.Errorf("a thousand Syncs have %d intervals", len(seen))
	}
}

func TestTheOldestAnswerSaysWhenToLookAgain(t *testing.T) {
	images := []manifests.Image{{Image: "a:1"}, {Image: "b:1"}, {Image: "c:1"}}
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	for _, test := range []struct {
		name     string
		resolved map[string]manifests.Resolution
		want     time.Time
	}{
		{"of all", map[string]manifests.Resolution{"a:1": {At: at(-2)}, "b:1": {At: at(-3)}, "c:1": {At: at(-1)}}, at(-3)},
		{"but for what is from an earlier release", map[string]manifests.Resolution{"a:1": {At: at(-2)}, "b:1": {At: at(-300), Release: 3}}, at(-2)},
		{"but for images that are not looked at", map[string]manifests.Resolution{"a:1": {At: at(-2)}, "d:1": {At: at(-300)}}, at(-2)},
		{"and now, where nobody says", nil, at(0)},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := oldest(images, test.resolved, noon); !got.Equal(test.want) {
				t.Errorf("got %s, want %s", got.Format(time.TimeOnly), test.want.Format(time.TimeOnly))
			}
		})
	}
}

func TestLooksAtTagsSayThatNothingHasChanged(t *testing.T) {
	a := following(t)
	a.forAWhile(20 * time.Minute)
	last := a.requests[len(a.requests)-1]
	if !last.Again || last.Since.After(a.now.Add(-followInterval)) {
		t.Errorf("again: %t, since %s", last.Again, a.now.Sub(last.Since))
	}
	t.Run("and hold nothing of an object but its names", func(t *testing.T) {
		for _, image := range last.Images {
			if _, whole := image.Object.Unstructured().Object["spec"]; whole {
				t.Errorf("%s is remembered whole", image.Object)
			}
		}
		if got := last.Images[0].Object.String(); got != "Deployment/shop/cart (deploy/1.json)" {
			t.Errorf("it is called %s", got)
		}
	})
}

func TestTagsThatHaveADigestAreNotFollowed(t *testing.T) {
	w := newWorld()
	w.push("v1", web("cart", "acme/cart@sha256:01"))
	a := newAgent(t, w)
	a.spec.Images = v1alpha1.Images{Resolve: v1alpha1.ResolveFollow, Interval: metav1.Duration{Duration: time.Minute}}
	a.until("v1", manifests.Kept)
	from := len(a.requests)
	a.forAWhile(time.Hour)
	if asked := len(a.requests) - from; asked > 0 {
		t.Errorf("asked %d times", asked)
	}
}

func TestAFollowThatBelayPutsOffItselfIsNoProblem(t *testing.T) {
	for _, test := range []struct {
		name        string
		cart, side  string
		wantProblem string
	}{
		{"put off", busy, busy, ""},
		{"down and put off", "Unavailable", busy, "Unavailable"},
		{"put off and down", busy, "Unavailable", "Unavailable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := following(t)
			a.away["acme/cart:1"] = fault{reason: test.cart, temporary: true, after: time.Minute}
			a.away["acme/side:1"] = fault{reason: test.side, temporary: true, after: time.Minute}
			from := len(a.requests)
			a.forAWhile(20 * time.Minute)
			got := ""
			if a.out.Problem != nil {
				got = a.out.Problem.Reason
			}
			if asked := len(a.requests) - from; got != test.wantProblem || asked < 3 || asked > 16 {
				t.Errorf("problem %q, asked %d times", got, asked)
			}
			clear(a.away)
			a.tags["acme/cart:1"] = "sha256:two"
			a.forAWhile(30 * time.Minute)
			if a.image("cart") != "acme/cart@sha256:two" || a.out.Problem != nil {
				t.Errorf("runs %s, problem %+v", a.image("cart"), a.out.Problem)
			}
		})
	}
}

func TestATagWhoseImageCannotRunIsFollowedUntilItMovesOn(t *testing.T) {
	a := following(t)
	a.away["acme/cart:1"] = fault{reason: "PlatformMissing"}
	a.push("v2", config("vars", "2"), web("cart", "acme/cart:1"), web("side", "acme/side:1"))
	a.poll()
	if p := a.out.Problem; p == nil || p.Reason != "PlatformMissing" || len(a.records) != 1 {
		t.Fatalf("problem %+v, %d releases", p, len(a.records))
	}
	from := len(a.requests)
	a.forAWhile(20 * time.Minute)
	if asked := len(a.requests) - from; asked < 2 || asked > 5 {
		t.Errorf("asked %d times in four intervals", asked)
	}
	if p := a.out.Problem; p == nil || p.Reason != "PlatformMissing" || len(a.records) != 1 {
		t.Errorf("problem %+v, %d releases", p, len(a.records))
	}
	clear(a.away)
	a.tags["acme/cart:1"] = "sha256:two"
	a.forAWhile(20 * time.Minute)
	if a.image("cart") != "acme/cart@sha256:two" || a.status.Deployed.Commit != "v2" || a.out.Problem != nil {
		t.Errorf("runs %s of %s, problem %+v", a.image("cart"), a.status.Deployed.Commit, a.out.Problem)
	}
}

func TestATagIsFollowedWhileTheRegistryOfAnotherIsDown(t *testing.T) {
	a := following(t)
	a.spec.Images.OnFailure = v1alpha1.OnFailureUseLast
	a.settle()
	a.away["acme/side:1"] = unreachable
	a.tags["acme/cart:1"] = "sha256:two"
	a.forAWhile(20 * time.Minute)
	if a.image("cart") != "acme/cart@sha256:two" || a.image("side") != "acme/side@sha256:side" || len(a.records) != 2 {
		t.Errorf("runs %s and %s, %d releases", a.image("cart"), a.image("side"), len(a.records))
	}
	t.Run("once for each move", func(t *testing.T) {
		from := len(a.calls)
		a.forAWhile(time.Hour)
		if built := only(a.calls[from:], func(call string) bool { return strings.HasPrefix(call, "Build") }); len(built) > 0 || len(a.records) != 2 {
			t.Errorf("rendered %d times, %d releases", len(built), len(a.records))
		}
		clear(a.away)
		a.forAWhile(time.Hour)
		if len(a.records) != 2 || a.out.Problem != nil {
			t.Errorf("%d releases, problem %+v", len(a.records), a.out.Problem)
		}
	})
	for _, test := range []struct {
		name      string
		onFailure v1alpha1.OnFailure
		side      fault
	}{
		{"but not where nothing is to start meanwhile", v1alpha1.OnFailureFail, unreachable},
		{"nor where the other is not there", v1alpha1.OnFailureUseLast, fault{reason: "NotFound", temporary: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := following(t)
			a.spec.Images.OnFailure = test.onFailure
			a.settle()
			a.away["acme/side:1"] = test.side
			a.tags["acme/cart:1"] = "sha256:two"
			a.forAWhile(20 * time.Minute)
			if len(a.records) != 1 || a.out.Problem == nil || !a.out.Decided {
				t.Errorf("%d releases, problem %+v, decided: %t", len(a.records), a.out.Problem, a.out.Decided)
			}
		})
	}
}

func TestACommitThatDoesNotRenderIsNotRenderedAgainForATagThatMoved(t *testing.T) {
	a := following(t)
	a.refuse["Build"] = fault{reason: "InvalidYAML"}
	a.push("v2", config("vars", "2"))
	a.poll()
	a.tags["acme/cart:1"] = "sha256:two"
	from := len(a.calls)
	a.forAWhile(time.Hour)
	if built := only(a.calls[from:], func(call string) bool { return strings.HasPrefix(call, "Build") }); len(built) > 0 || !a.out.Decided {
		t.Errorf("rendered %d times", len(built))
	}
}
