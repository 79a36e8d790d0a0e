// Promise: a verdict comes from watches. Syncs that wait for their releases cost no goroutine each and no request, and the
// verdict follows the object's change at once.

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// waitingSyncs is how many Syncs wait, unless WAITING_N says another number.
const waitingSyncs = 100

// waitingSync takes the number of a Sync and the repository. Nothing of it ends while the test looks.
const waitingSync = `{"apiVersion":"belay.dev/v1alpha1","kind":"Sync","metadata":{"name":"app"},"spec":{
	"source":{"url":%[2]q,"path":"app-%04[1]d","interval":"1h"},"images":{"resolve":"Never"},
	"health":{"timeout":"1h","stableFor":"0s"}}}`

// waitingApp is a Deployment whose pod never gets ready.
const waitingApp = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, n: "%04d"}, annotations: {simulate.belay.dev/fail: NeverReady}}
    spec:
      containers: [{name: web, image: "example.org/web:1"}]
`

// TestSyncsThatWaitCostNothing has Syncs in namespaces of their own wait for a pod each, WAITING_N of them, counts the
// agent's goroutines and requests, and then lets one pod after the other fail.
func TestSyncsThatWaitCostNothing(t *testing.T) {
	t.Parallel()
	n := number(t, "WAITING_N", waitingSyncs)
	c := startSimulated(t)
	s, err := newScript(c, "waiting", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		folder := filepath.Join(s.clone, fmt.Sprintf("app-%04d", i))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "web.yaml"), fmt.Appendf(nil, waitingApp, i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.commit(t, "all of them")
	metrics := freeAddress(t)
	newAgent(t, c, "--leader-elect=false", "--metrics-address="+metrics)
	few := max(n/5, 20) // more than have watches of their own
	s.wait(t, 0, few)
	quiet(t, metrics)
	before := goroutinesOf(t, metrics)
	s.wait(t, few, n)
	quiet(t, metrics)
	after := 0
	// Connections to Git stay open for a while, with two goroutines each.
	awaitWithin(t, 3*time.Minute, time.Second, "goroutines not to grow with the Syncs", func() bool {
		after = goroutinesOf(t, metrics)
		return after-before < (n-few)/4
	})
	t.Logf("%d goroutines with %d Syncs that wait, %d with %d", before, few, after, n)

	var took []time.Duration
	for i := range min(n, 20) {
		took = append(took, s.verdictAfterChange(t, i))
	}
	slices.Sort(took)
	t.Logf("from the change of a pod to the verdict in the Sync's status: median %s, worst %s of %d", took[len(took)/2], took[len(took)-1], len(took))
	if median := took[len(took)/2]; median > 10*time.Second {
		t.Errorf("a verdict takes %s: it is not the watches that bring it", median)
	}
}

// wait makes the Syncs of these numbers, and waits until they do.
func (s *script) wait(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		namespace := fmt.Sprintf("waiting-%04d", i)
		s.api.ask(t, http.MethodPost, "/api/v1/namespaces", "application/json",
			fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q}}`, namespace), &object{})
		s.api.ask(t, http.MethodPost, "/apis/belay.dev/v1alpha1/namespaces/"+namespace+"/syncs", "application/json",
			fmt.Sprintf(waitingSync, i, s.repository), &object{})
	}
	awaitWithin(t, 10*time.Minute, time.Second, fmt.Sprintf("%d Syncs that wait for a pod that runs", to), func() bool {
		var pods struct {
			Items []struct{ Status struct{ Phase string } }
		}
		s.api.get(t, "/api/v1/pods?labelSelector=app%3Dweb", &pods)
		running := 0
		for _, pod := range pods.Items {
			if pod.Status.Phase == "Running" {
				running++
			}
		}
		var syncs struct{ Items []syncStatus }
		s.api.get(t, "/apis/belay.dev/v1alpha1/syncs", &syncs)
		waiting := 0
		for _, sync := range syncs.Items {
			if sync.Status.Phase == "Watching" {
				waiting++
			}
		}
		return running == to && waiting == to
	})
}

// quiet waits for some seconds without a request to the API server.
func quiet(t *testing.T, metrics string) {
	t.Helper()
	const window = 5 * time.Second
	before := requestsOf(t, metrics)
	await(t, "a window of "+window.String()+" without a request", func() bool {
		time.Sleep(window)
		asked := requestsOf(t, metrics) - before
		before += asked
		return asked == 0
	})
}

// verdictAfterChange has the pod of a Sync fail, and tells how long it takes until the Sync says so.
func (s *script) verdictAfterChange(t *testing.T, i int) time.Duration {
	t.Helper()
	namespace := fmt.Sprintf("waiting-%04d", i)
	var pods struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	s.api.get(t, "/api/v1/namespaces/"+namespace+"/pods", &pods)
	if len(pods.Items) != 1 {
		t.Fatalf("%d pods in %s", len(pods.Items), namespace)
	}
	s.api.ask(t, http.MethodPatch, "/api/v1/namespaces/"+namespace+"/pods/"+pods.Items[0].Metadata.Name+"/status", "application/strategic-merge-patch+json",
		`{"status":{"containerStatuses":[{"name":"web","image":"x","imageID":"","ready":false,"restartCount":0,
			"state":{"running":null,"waiting":{"reason":"InvalidImageName","message":"no such name"}}}]}}`, &object{})
	began := time.Now()
	await(t, namespace+"/app to have failed", func() bool {
		var sync syncStatus
		s.api.get(t, "/apis/belay.dev/v1alpha1/namespaces/"+namespace+"/syncs/app", &sync)
		return sync.Status.Phase == "Failed"
	})
	return time.Since(began)
}

// goroutinesOf reads how many goroutines an agent has.
func goroutinesOf(t *testing.T, address string) int {
	t.Helper()
	return metricOf(t, address, "go_goroutines ")
}
