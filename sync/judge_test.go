package sync

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
)

func TestJudge(t *testing.T) {
	id := func(name string) manifests.ID { return manifests.ID{Kind: "Pod", Namespace: "shop", Name: name} }
	well := manifests.Health{ID: id("well"), Condition: manifests.Healthy}
	crashing := manifests.Health{ID: id("crashing"), Condition: manifests.Unhealthy, Reason: "CrashLoopBackOff", Message: "exit code 1"}
	starting := manifests.Health{ID: id("starting"), Condition: manifests.Progressing, Message: "is starting"}
	pulling := manifests.Health{ID: id("pulling"), Condition: manifests.Progressing, Reason: "ErrImagePull"}
	paused := manifests.Health{ID: id("paused"), Condition: manifests.Suspended, Bearing: manifests.Patient, Message: "spec.paused is true"}
	asleep := manifests.Health{ID: id("asleep"), Condition: manifests.Suspended, Message: "spec.suspend is true"}
	ignored := manifests.Health{ID: id("ignored"), Condition: manifests.Unhealthy, Reason: "BackoffLimitExceeded", Bearing: manifests.None}
	unknown := manifests.Health{ID: id("unknown"), Condition: manifests.Unknown}
	service := manifests.Health{ID: manifests.ID{Kind: "Service", Namespace: "shop", Name: "front"}, Condition: manifests.Progressing, Reason: "NoEndpoints"}
	turning := manifests.Health{ID: id("turning"), Condition: manifests.Progressing, Message: "cannot be scheduled", Again: 7 * time.Second}
	certificate := func(name string) manifests.Health {
		return manifests.Health{ID: manifests.ID{Group: "cert-manager.io", Kind: "Certificate", Namespace: "shop", Name: name}, Condition: manifests.Unhealthy, Reason: "SecretNotFound"}
	}
	erring, erred := certificate("erring"), certificate("erred")
	failing := map[manifests.ID]time.Duration{erring.ID: 6 * time.Second, erred.ID: 10 * time.Second}
	p := patience{timeout: time.Minute, stableFor: 10 * time.Second}

	for _, test := range []struct {
		name           string
		reports        []manifests.Health
		waited, stable time.Duration
		want           Verdict
	}{
		{"nothing to be healthy is good, once it is stable", nil, 10 * time.Second, 10 * time.Second, Verdict{Decision: Good}},
		{"all healthy and stable is good", []manifests.Health{well, well}, 10 * time.Second, 10 * time.Second, Verdict{Decision: Good}},
		{"all healthy but not yet stable is open for as long as that takes", []manifests.Health{well, well}, 3 * time.Second, 3 * time.Second,
			Verdict{Open, "Stabilizing", "2 of 2 objects healthy, to stay so for 10s", 7 * time.Second}},
		{"becoming stable is not cut short by the timeout", []manifests.Health{well}, 61 * time.Second, time.Second,
			Verdict{Open, "Stabilizing", "1 of 1 objects healthy, to stay so for 10s", 9 * time.Second}},
		{"one on its way is open until the timeout", []manifests.Health{well, starting}, 40 * time.Second, 0,
			Verdict{Open, "Progressing", "1 of 2 objects healthy, waiting for Pod/shop/starting: is starting", 20 * time.Second}},
		{"one on its way is open however long the others were stable", []manifests.Health{starting}, time.Second, time.Hour,
			Verdict{Open, "Progressing", "0 of 1 objects healthy, waiting for Pod/shop/starting: is starting", 59 * time.Second}},
		{"of several on their way the first with a reason is told", []manifests.Health{starting, pulling, starting}, 0, 0,
			Verdict{Open, "Progressing", "0 of 3 objects healthy, waiting for Pod/shop/pulling: ErrImagePull", time.Minute}},
		{"one on its way at the timeout is bad", []manifests.Health{well, pulling}, time.Minute, 0,
			Verdict{Decision: Bad, Reason: "TimedOut", Message: "not healthy within 1m0s: Pod/shop/pulling: ErrImagePull"}},
		{"one failed is bad at once, whatever the others", []manifests.Health{well, starting, crashing}, 0, 0,
			Verdict{Decision: Bad, Reason: "CrashLoopBackOff", Message: "Pod/shop/crashing: CrashLoopBackOff: exit code 1"}},
		{"one failed is bad at the timeout too, for its own reason", []manifests.Health{pulling, crashing}, time.Hour, 0,
			Verdict{Decision: Bad, Reason: "CrashLoopBackOff", Message: "Pod/shop/crashing: CrashLoopBackOff: exit code 1"}},
		{"people are waited for without a deadline", []manifests.Health{well, paused}, time.Hour, 0,
			Verdict{Open, "Suspended", "1 of 2 objects healthy, waiting for people to go on with Pod/shop/paused: spec.paused is true", 0}},
		{"and the others have theirs meanwhile", []manifests.Health{paused, starting}, 20 * time.Second, 0,
			Verdict{Open, "Progressing", "0 of 2 objects healthy, waiting for Pod/shop/starting: is starting", 40 * time.Second}},
		{"which ends", []manifests.Health{paused, starting}, time.Minute, 0,
			Verdict{Decision: Bad, Reason: "TimedOut", Message: "not healthy within 1m0s: Pod/shop/starting: is starting"}},
		{"and one of them may fail", []manifests.Health{paused, crashing}, time.Minute, 0,
			Verdict{Decision: Bad, Reason: "CrashLoopBackOff", Message: "Pod/shop/crashing: CrashLoopBackOff: exit code 1"}},
		{"what is suspended on purpose, and what does not count, is good", []manifests.Health{asleep, ignored}, time.Minute, 10 * time.Second, Verdict{Decision: Good}},
		{"what nobody knows is waited for", []manifests.Health{unknown}, 0, 0,
			Verdict{Open, "Progressing", "0 of 1 objects healthy, waiting for Pod/shop/unknown: Unknown", time.Minute}},
		{"what turns by itself is looked at then", []manifests.Health{turning, starting}, 50 * time.Second, 0,
			Verdict{Open, "Progressing", "0 of 2 objects healthy, waiting for Pod/shop/turning: cannot be scheduled", 7 * time.Second}},
		{"but not after the timeout", []manifests.Health{turning}, 55 * time.Second, 0,
			Verdict{Open, "Progressing", "0 of 1 objects healthy, waiting for Pod/shop/turning: cannot be scheduled", 5 * time.Second}},
		{"and also while people are waited for", []manifests.Health{{Condition: manifests.Healthy, Again: time.Second}, paused}, 0, 0,
			Verdict{Open, "Suspended", "1 of 2 objects healthy, waiting for people to go on with Pod/shop/paused: spec.paused is true", time.Second}},
		{"a workload is told before the Service in front of it", []manifests.Health{service, starting}, 0, 0,
			Verdict{Open, "Progressing", "0 of 2 objects healthy, waiting for Pod/shop/starting: is starting", time.Minute}},
		{"what is no workload and has failed may yet be tried again by its controller", []manifests.Health{well, erring}, 0, 0,
			Verdict{Open, "Progressing", "1 of 2 objects healthy, waiting for Certificate/shop/erring: SecretNotFound", 4 * time.Second}},
		{"it is bad once that stands", []manifests.Health{well, erred}, 0, 0,
			Verdict{Decision: Bad, Reason: "SecretNotFound", Message: "Certificate/shop/erred: SecretNotFound"}},
		{"but not while a workload is on its way, which it may wait for", []manifests.Health{starting, erred}, 0, 0,
			Verdict{Open, "Progressing", "0 of 2 objects healthy, waiting for Certificate/shop/erred: SecretNotFound", time.Minute}},
		{"nor while people are waited for", []manifests.Health{paused, erred}, 0, 0,
			Verdict{Open, "Progressing", "0 of 2 objects healthy, waiting for Certificate/shop/erred: SecretNotFound", time.Minute}},
		{"what is no workload and on its way is not waited for", []manifests.Health{service, erred}, 0, 0,
			Verdict{Decision: Bad, Reason: "SecretNotFound", Message: "Certificate/shop/erred: SecretNotFound"}},
		{"at the timeout what has failed is told first", []manifests.Health{pulling, erring}, time.Minute, 0,
			Verdict{Decision: Bad, Reason: "TimedOut", Message: "not healthy within 1m0s: Certificate/shop/erring: SecretNotFound"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, judge(test.reports, moment{waited: test.waited, stable: test.stable, failing: failing}, p)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAllHealthyIsNothingElse(t *testing.T) {
	of := func(conditions ...manifests.Condition) (reports []manifests.Health) {
		for _, c := range conditions {
			reports = append(reports, manifests.Health{Condition: c})
		}
		return reports
	}
	for _, test := range []struct {
		reports []manifests.Health
		want    bool
	}{
		{nil, true},
		{of(manifests.Healthy, manifests.Healthy), true},
		{of(manifests.Healthy, manifests.Progressing), false},
		{of(manifests.Unhealthy), false},
		{of(""), false},
	} {
		if got := allHealthy(test.reports); got != test.want {
			t.Errorf("%v: got %t", test.reports, got)
		}
	}
}
