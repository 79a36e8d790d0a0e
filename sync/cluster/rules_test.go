package cluster

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/health"
)

var shopSync = types.NamespacedName{Namespace: "team", Name: "shop"}

// judging is the view of a Sync with health checks, on a cluster that is never asked.
func judging(t testing.TB, c *Cluster, checks v1alpha1.HealthChecks) *Objects {
	t.Helper()
	objects, err := c.Objects(shopSync, v1alpha1.Spec{Health: checks})
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestExpressionsOfASyncAreItsRules(t *testing.T) {
	c := &Cluster{}
	checks := v1alpha1.HealthChecks{Expressions: []v1alpha1.HealthExpression{
		{APIVersion: "example.com/v1", Kind: "Db", Current: "status.phase == 'Up'", InProgress: "status.phase == 'Starting'", Failed: "status.phase == 'Lost'"},
	}}
	objects := judging(t, c, checks)
	for phase, want := range map[string]manifests.Condition{
		"Up": manifests.Healthy, "Starting": manifests.Progressing, "Lost": manifests.Unhealthy, "Other": manifests.Progressing,
	} {
		db := live(t, `{apiVersion: example.com/v1, kind: Db, metadata: {name: main}, status: {phase: `+phase+`}}`)
		if got := health.Of(db, objects.rules).Condition; got != want {
			t.Errorf("%s is %s, want %s", phase, got, want)
		}
	}
	t.Run("compiled once", func(t *testing.T) {
		before := c.rules.known[shopSync]
		judging(t, c, *checks.DeepCopy())
		if &before.of[0] != &c.rules.known[shopSync].of[0] {
			t.Error("they were compiled again, and are the same")
		}
		checks.Expressions[0].Current = "status.phase == 'Up' || status.phase == 'Idle'"
		idle := live(t, `{apiVersion: example.com/v1, kind: Db, metadata: {name: main}, status: {phase: Idle}}`)
		if got := health.Of(idle, judging(t, c, checks).rules).Condition; got != manifests.Healthy {
			t.Errorf("a changed expression is not taken up: %s", got)
		}
		judging(t, c, v1alpha1.HealthChecks{})
		if len(c.rules.known) > 0 {
			t.Error("rules that nobody has any more are remembered")
		}
	})
}

func TestWrongExpressionsRefuseEveryReleaseAndNameTheEntry(t *testing.T) {
	right := v1alpha1.HealthExpression{APIVersion: "example.com/v1", Kind: "Db", Current: "true"}
	for name, test := range map[string]struct {
		wrong v1alpha1.HealthExpression
		says  string
	}{
		"syntax":              {v1alpha1.HealthExpression{APIVersion: "example.com/v1", Kind: "Cache", Current: "true", Failed: "status.phase =="}, "spec.health.expressions[1].failed: "},
		"another type":        {v1alpha1.HealthExpression{APIVersion: "example.com/v1", Kind: "Cache", Current: "'yes'"}, "spec.health.expressions[1].current: "},
		"a kind twice":        {right, "spec.health.expressions[1]: "},
		"no group":            {v1alpha1.HealthExpression{APIVersion: "a/b/c", Kind: "Cache", Current: "true"}, "spec.health.expressions[1].apiVersion: "},
		"what is not watched": {v1alpha1.HealthExpression{APIVersion: "v1", Kind: "ConfigMap", Current: "data.ready == 'yes'"}, "spec.health.expressions[1].kind: "},
	} {
		t.Run(name, func(t *testing.T) {
			objects := judging(t, &Cluster{}, v1alpha1.HealthChecks{Expressions: []v1alpha1.HealthExpression{right, test.wrong}})
			_, err := objects.Place(t.Context(), set(t, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings"}}))
			var refused *Error
			if !errors.As(err, &refused) {
				t.Fatalf("%v", err)
			}
			if refused.Reason != "InvalidExpression" || refused.Temporary || !strings.HasPrefix(refused.Error(), test.says) {
				t.Errorf("%+v", refused)
			}
			db := live(t, `{apiVersion: example.com/v1, kind: Db, metadata: {name: main}}`)
			if diff := cmp.Diff(health.Of(db, health.Rules{}), health.Of(db, objects.rules)); diff != "" {
				t.Errorf("what runs is not judged without them: %s", diff)
			}
		})
	}
}

func TestWhatIsIgnoredMeansNothingForTheRelease(t *testing.T) {
	seed := manifests.Health{ID: manifests.ID{Group: "batch", Kind: "Job", Namespace: "shop", Name: "seed-1"}, Condition: manifests.Unhealthy, Reason: "DeadlineExceeded"}
	for name, test := range map[string]struct {
		targets []v1alpha1.Target
		want    manifests.Bearing
	}{
		"nothing is":           {nil, manifests.Usual},
		"by a pattern":         {[]v1alpha1.Target{{Kind: "Job", Name: "seed-*"}}, manifests.None},
		"by all its parts":     {[]v1alpha1.Target{{Group: "batch", Kind: "Job", Namespace: "shop", Name: "seed-1"}}, manifests.None},
		"by the second target": {[]v1alpha1.Target{{Kind: "Pod"}, {Group: "batch"}}, manifests.None},
		"another kind":         {[]v1alpha1.Target{{Kind: "CronJob", Name: "seed-*"}}, manifests.Usual},
		"another namespace":    {[]v1alpha1.Target{{Kind: "Job", Namespace: "prod"}}, manifests.Usual},
	} {
		t.Run(name, func(t *testing.T) {
			want := seed
			want.Bearing = test.want
			if diff := cmp.Diff(want, judging(t, &Cluster{}, v1alpha1.HealthChecks{Ignore: test.targets}).ignored(seed)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
