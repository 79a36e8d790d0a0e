package sync

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestBackoffDoublesFromASecondToAQuarterOfAnHour(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		-1: time.Second, 0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 7: 64 * time.Second,
		10: 512 * time.Second, 11: 15 * time.Minute, 12: 15 * time.Minute, 64: 15 * time.Minute, 1 << 40: 15 * time.Minute,
	} {
		if got := Backoff(failures); got != want {
			t.Errorf("after %d failures: %s, want %s", failures, got, want)
		}
	}
}

func TestFailuresInARowAreSpacedWithJitter(t *testing.T) {
	start := time.Unix(1000, 0)
	seen := map[time.Duration]bool{}
	for range 100 {
		var f failures
		f.add(down, start)
		now := f.until
		f.add(down, now)
		wait := f.until.Sub(now)
		if wait < 2*time.Second || wait > 2500*time.Millisecond {
			t.Fatalf("the second wait is %s", wait)
		}
		seen[wait] = true
		if !f.waiting(f.until.Add(-1)) || f.waiting(f.until) {
			t.Error("it does not wait until then")
		}
	}
	if len(seen) < 10 {
		t.Error("there is no jitter")
	}
	if (failures{}).waiting(start) {
		t.Error("it waits without a failure")
	}
}

func TestATryBeforeItsTimeDoesNotLengthenTheBackoff(t *testing.T) {
	now := time.Unix(1000, 0)
	var f failures
	for range 20 {
		f.add(down, now)
	}
	if wait := f.until.Sub(now); wait > 1250*time.Millisecond {
		t.Errorf("the wait is %s", wait)
	}
}

func TestTheOtherSideMayAskForALongerWait(t *testing.T) {
	now := time.Unix(1000, 0)
	var f failures
	problem := f.add(fault{reason: "TooManyRequests", temporary: true, after: time.Minute}, now)
	if wait := f.until.Sub(now); wait < time.Minute || wait > 75*time.Second {
		t.Errorf("the wait is %s", wait)
	}
	if diff := cmp.Diff(&Problem{Reason: "TooManyRequests", Message: "no: TooManyRequests", Temporary: true, After: time.Minute}, problem); diff != "" {
		t.Error(diff)
	}
	for range 10 {
		now = f.until
		f.add(down, now)
	}
	now = f.until
	f.add(fault{temporary: true, after: time.Second}, now)
	if wait := f.until.Sub(now); wait < 15*time.Minute {
		t.Errorf("a shorter wait than the backoff was granted: %s", wait)
	}
}

func TestProblemOf(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want Problem
	}{
		{"an error that describes itself", fault{reason: "Gone", after: time.Hour}, Problem{Reason: "Gone", Message: "no: Gone", After: time.Hour}},
		{"with words around it", fmt.Errorf("reading x: %w", down), Problem{Reason: "ClusterUnavailable", Message: "reading x: no: ClusterUnavailable", Temporary: true}},
		{"joined with others", errors.Join(errors.New("a"), denied), Problem{Reason: "AdmissionDenied", Message: "a\nno: AdmissionDenied"}},
		{"one that does not", errors.New("x\x1b[31m"), Problem{Reason: "Error", Message: "x [31m", Temporary: true}},
		{"a refusal of belay's own", refusal{"NothingRendered", "no object"}, Problem{Reason: "NothingRendered", Message: "no object"}},
		{"a deletion under way", unfinished{[]manifests.ID{{Kind: "Pod", Name: "a"}}},
			Problem{Reason: "PruneUnfinished", Message: "still being deleted: Pod/a; a finalizer may hold them", Temporary: true}},
		{"an image that is not there", imageError{cause: denied, image: manifests.Image{Container: "c", Object: objects(t, [3]string{"v1", "Pod", "p"})[0]}},
			Problem{Reason: "AdmissionDenied", Message: "Pod/p (x.yaml): container c: no: AdmissionDenied"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, problemOf(test.err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestShorten(t *testing.T) {
	for _, test := range []struct{ name, message, want string }{
		{"leaves a short message alone", "Deployment/cart: exit code 1\nüñî ☃", "Deployment/cart: exit code 1\nüñî ☃"},
		{"and an empty one", "", ""},
		{"replaces control characters", "a\x00b\tc\rd\x1b[31me\x7f", "a b c d [31me "},
		{"cuts a long message", strings.Repeat("a", 2000), strings.Repeat("a", 1021) + "…"},
		{"cuts between characters", strings.Repeat("☃", 1000), strings.Repeat("☃", 340) + "…"},
		{"replaces what is not UTF-8", "a\xff", "a\uFFFD"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := shorten(test.message)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if len(got) > 1024 || !utf8.ValidString(got) {
				t.Errorf("%d bytes, valid %t", len(got), utf8.ValidString(got))
			}
			if again := shorten(got); again != got {
				t.Errorf("a second time gives %q", again)
			}
		})
	}
}

func FuzzShorten(f *testing.F) {
	for _, seed := range []string{"", "a\x00", strings.Repeat("☃", 400), strings.Repeat("\xff", 1100), "a\nb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		got := shorten(message)
		if len(got) > 1024 || !utf8.ValidString(got) {
			t.Errorf("%d bytes, valid %t", len(got), utf8.ValidString(got))
		}
		for _, r := range got {
			if r < ' ' && r != '\n' || r == 0x7f {
				t.Errorf("%q is left", r)
			}
		}
	})
}

func TestOptionsChangeWithWhatBearsOnARelease(t *testing.T) {
	yes := true
	base := v1alpha1.Spec{Source: v1alpha1.Source{URL: "https://git.example.com/shop"}}
	for name, test := range map[string]struct {
		change func(*v1alpha1.Spec)
		same   bool
	}{
		"nothing":            {func(*v1alpha1.Spec) {}, true},
		"suspend":            {func(s *v1alpha1.Spec) { s.Suspend = true }, true},
		"interval":           {func(s *v1alpha1.Spec) { s.Source.Interval = metav1.Duration{Duration: time.Hour} }, true},
		"url":                {func(s *v1alpha1.Spec) { s.Source.URL += "2" }, false},
		"branch":             {func(s *v1alpha1.Spec) { s.Source.Ref.Branch = "dev" }, false},
		"path":               {func(s *v1alpha1.Spec) { s.Source.Path = "deploy" }, false},
		"credentials":        {func(s *v1alpha1.Spec) { s.Source.SecretRef = &v1alpha1.LocalReference{Name: "git"} }, false},
		"resolve":            {func(s *v1alpha1.Spec) { s.Images.Resolve = v1alpha1.ResolveNever }, false},
		"service account":    {func(s *v1alpha1.Spec) { s.Apply.ServiceAccountName = "deployer" }, false},
		"namespace":          {func(s *v1alpha1.Spec) { s.Apply.TargetNamespace = "prod" }, false},
		"prune":              {func(s *v1alpha1.Spec) { s.Apply.Prune = &yes }, false},
		"timeout":            {func(s *v1alpha1.Spec) { s.Health.Timeout = metav1.Duration{Duration: time.Hour} }, false},
		"how long is stable": {func(s *v1alpha1.Spec) { s.Health.StableFor = metav1.Duration{Duration: time.Hour} }, false},
		"rollback":           {func(s *v1alpha1.Spec) { s.Rollback.Enabled = &yes }, false},
	} {
		t.Run(name, func(t *testing.T) {
			changed := *base.DeepCopy()
			test.change(&changed)
			if got := optionsOf(changed) == optionsOf(base); got != test.same {
				t.Errorf("the same: %t", got)
			}
		})
	}
}

func TestOptionsAreReadThroughPointersAndLeaveTheSpecAlone(t *testing.T) {
	a, b := true, true
	first := v1alpha1.Spec{Suspend: true, Apply: v1alpha1.Apply{Prune: &a}}
	second := v1alpha1.Spec{Suspend: true, Apply: v1alpha1.Apply{Prune: &b}}
	if optionsOf(first) != optionsOf(second) {
		t.Error("two pointers to the same are told apart")
	}
	if !first.Suspend {
		t.Error("the spec was changed")
	}
}
