package cluster

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// syncAPI is an API server that takes patches of one Sync, and a client that reads the Sync as it was at first, like a
// cache that is behind.
type syncAPI struct {
	client.Client
	read    v1alpha1.Sync
	code    int // to refuse patches with
	patches []string
}

func (a *syncAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, path, _ := strings.Cut(r.URL.Path, "/syncs/")
	a.patches = append(a.patches, r.Method+" "+path+" "+string(body))
	w.Header().Set("Content-Type", "application/json")
	if a.code != 0 {
		refused(w, a.code)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
		"metadata": map[string]any{"name": "shop", "namespace": "shop"}})
}

func (a *syncAPI) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	a.read.DeepCopyInto(object.(*v1alpha1.Sync))
	return nil
}

// sent is the patches since the last call.
func (a *syncAPI) sent() []string {
	sent := a.patches
	a.patches = nil
	return sent
}

// spoken are passes that report what they are given to.
type spoken struct {
	Passes
	report Report
	first  bool
	got    v1alpha1.Status // with the last call
}

func (s *spoken) Pass(_ context.Context, sync *v1alpha1.Sync, first bool) Report {
	s.first, s.got = first, *sync.Status.DeepCopy()
	return s.report
}

var shop = types.NamespacedName{Namespace: "shop", Name: "shop"}

// syncScheme is a scheme that knows Syncs alone.
func syncScheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	known := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(known); err != nil {
		t.Fatal(err)
	}
	return known
}

func reconcilerOn(t testing.TB) (*reconciler, *syncAPI, *spoken) {
	t.Helper()
	api := &syncAPI{read: v1alpha1.Sync{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop", UID: "5ca1ab1e", ResourceVersion: "7"}}}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(v1alpha1.GroupVersion.WithKind("Sync"), meta.RESTScopeNamespace)
	var err error
	if api.Client, err = client.New(&rest.Config{Host: server.URL}, client.Options{Scheme: syncScheme(t), Mapper: mapper}); err != nil {
		t.Fatal(err)
	}
	passes := &spoken{}
	return &reconciler{client: api, recorder: events.NewFakeRecorder(10), passes: passes, now: time.Now}, api, passes
}

// call makes a pass.
func (r *reconciler) call(t *testing.T) ctrl.Result {
	t.Helper()
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: shop})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func underWay(message string) v1alpha1.Status {
	return v1alpha1.Status{Phase: v1alpha1.Watching, Conditions: []metav1.Condition{
		{Type: v1alpha1.Ready, Status: metav1.ConditionUnknown, Reason: "Progressing", Message: message},
	}}
}

func TestAFirstPassCostsAFinalizerAndOneStatus(t *testing.T) {
	r, api, passes := reconcilerOn(t)
	now := time.Unix(1000, 0)
	r.now = func() time.Time { return now }
	api.read.Status.ObservedGeneration = -1 // as the CRD has a new one
	passes.report = Report{Status: underWay("a"), KeepBack: time.Second, Next: time.Minute}
	if result := r.call(t); result.RequeueAfter != time.Second || !passes.first {
		t.Errorf("called again in %s, first %v", result.RequeueAfter, passes.first)
	}
	if diff := cmp.Diff([]string{`PATCH shop {"metadata":{"finalizers":["belay.dev/objects"],"resourceVersion":"7"}}`}, api.sent()); diff != "" {
		t.Error(diff)
	}
	api.read.Finalizers = []string{v1alpha1.Finalizer}
	now = now.Add(600 * time.Millisecond)
	passes.report.Status = underWay("b")
	if result := r.call(t); result.RequeueAfter != 400*time.Millisecond || passes.first || passes.got.Conditions[0].Message != "a" {
		t.Errorf("called again in %s, first %v, after %+v", result.RequeueAfter, passes.first, passes.got)
	}
	passes.report = Report{Status: v1alpha1.Status{ObservedGeneration: 1, Phase: v1alpha1.Kept}, Next: time.Minute}
	if result := r.call(t); result.RequeueAfter != time.Minute {
		t.Errorf("called again in %s", result.RequeueAfter)
	}
	if diff := cmp.Diff([]string{`PATCH shop/status {"status":{"observedGeneration":1,"phase":"Kept"}}`}, api.sent()); diff != "" {
		t.Error(diff)
	}
	r.call(t)
	if sent := api.sent(); len(sent) > 0 {
		t.Errorf("the same again is written: %v", sent)
	}
}

func TestAStatusThatIsKeptBackIsToldInTime(t *testing.T) {
	r, api, passes := reconcilerOn(t)
	api.read.Finalizers = []string{v1alpha1.Finalizer}
	now := time.Unix(1000, 0)
	r.now = func() time.Time { return now }
	passes.report = Report{Status: underWay("a"), KeepBack: time.Second}
	r.call(t)
	now = now.Add(time.Second)
	passes.report.Status = underWay("b")
	r.call(t)
	if sent := api.sent(); len(sent) != 1 || !strings.Contains(sent[0], `"message":"b"`) {
		t.Errorf("sent: %v", sent)
	}
	passes.report.Status = underWay("c")
	if result := r.call(t); result.RequeueAfter != time.Second || len(api.sent()) > 0 {
		t.Errorf("the next is told in %s", result.RequeueAfter)
	}
	passes.report.Status = underWay("b") // as people know it
	if result := r.call(t); result.RequeueAfter != 0 || len(api.sent()) > 0 {
		t.Errorf("what is told already is told in %s", result.RequeueAfter)
	}
}

func TestAStatusThatCouldNotBeWrittenIsWrittenByTheNextPass(t *testing.T) {
	r, api, passes := reconcilerOn(t)
	api.read.Finalizers = []string{v1alpha1.Finalizer}
	passes.report = Report{Status: v1alpha1.Status{Phase: v1alpha1.Kept}}
	api.code = http.StatusForbidden
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: shop}); err == nil {
		t.Error("no error")
	}
	api.code, api.patches = 0, nil
	r.call(t)
	if diff := cmp.Diff([]string{`PATCH shop/status {"status":{"phase":"Kept"}}`}, api.sent()); diff != "" {
		t.Error(diff)
	}
}

func TestAStatusWhoseWriteIsNotAnsweredIsWrittenWholeByTheNextPass(t *testing.T) {
	r, api, passes := reconcilerOn(t)
	api.read.Finalizers = []string{v1alpha1.Finalizer}
	api.read.Status = v1alpha1.Status{Phase: v1alpha1.Kept}
	passes.report = Report{Status: v1alpha1.Status{Phase: v1alpha1.RollingBack, Held: &v1alpha1.Held{Commit: "c"}}}
	api.code = http.StatusGatewayTimeout // it has come through, or not
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: shop}); err == nil {
		t.Error("no error")
	}
	api.code, api.patches = 0, nil
	passes.report.Status = v1alpha1.Status{Phase: v1alpha1.Kept} // as it was before
	r.call(t)
	if diff := cmp.Diff([]string{`PATCH shop/status [{"op":"add","path":"/status","value":{"phase":"Kept"}}]`}, api.sent()); diff != "" {
		t.Error(diff)
	}
	passes.report.Status.Phase = v1alpha1.RolledBack
	r.call(t)
	if diff := cmp.Diff([]string{`PATCH shop/status {"status":{"phase":"RolledBack"}}`}, api.sent()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatAnAgentHasHandledHasReleasesToRead(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.Sync){
		"it has our finalizer": func(s *v1alpha1.Sync) { s.Finalizers = []string{v1alpha1.Finalizer} },
		"it has a status":      func(s *v1alpha1.Sync) { s.Status.Phase = v1alpha1.Pending },
	} {
		t.Run(name, func(t *testing.T) {
			r, api, passes := reconcilerOn(t)
			change(&api.read)
			if r.call(t); passes.first {
				t.Error("it is taken for new")
			}
		})
	}
	t.Run("this process has seen it", func(t *testing.T) {
		r, _, passes := reconcilerOn(t)
		r.call(t)
		if r.call(t); passes.first {
			t.Error("it is taken for new")
		}
	})
}

func TestASyncThatCannotGetOnTriesAgainBehindTheOthers(t *testing.T) {
	status := func(phase v1alpha1.Phase, ready metav1.ConditionStatus) v1alpha1.Status {
		return v1alpha1.Status{Phase: phase, Conditions: []metav1.Condition{{Type: v1alpha1.Ready, Status: ready}}}
	}
	for _, test := range []struct {
		name   string
		status v1alpha1.Status
		want   int
	}{
		{"a new one", v1alpha1.Status{}, 0},
		{"kept", status(v1alpha1.Kept, metav1.ConditionTrue), 0},
		{"kept, and Git is down", status(v1alpha1.Kept, metav1.ConditionFalse), handler.LowPriority},
		{"nothing deployed, and Git is down", status(v1alpha1.Pending, metav1.ConditionFalse), handler.LowPriority},
		{"held", status(v1alpha1.RolledBack, metav1.ConditionFalse), handler.LowPriority},
		{"under way", status(v1alpha1.Watching, metav1.ConditionUnknown), 0},
		{"under way, and the API server is down", status(v1alpha1.Watching, metav1.ConditionFalse), 0},
		{"on its way back", status(v1alpha1.RollingBack, metav1.ConditionFalse), 0},
	} {
		if got := *priority(test.status); got != test.want {
			t.Errorf("%s has priority %d, want %d", test.name, got, test.want)
		}
	}
}

// BenchmarkASyncAtRestIsReconciled is what surrounds a pass that has nothing new to say.
func BenchmarkASyncAtRestIsReconciled(b *testing.B) {
	r, api, passes := reconcilerOn(b)
	api.read.Finalizers = []string{v1alpha1.Finalizer}
	status := underWay("all 4 objects are healthy")
	for n := range 10 {
		status.History = append(status.History, v1alpha1.HistoryEntry{Release: n, Commit: strings.Repeat("c", 40), Subject: "Bump cart", Result: "Kept", At: metav1.Now()})
	}
	api.read.Status = status
	b.ReportAllocs()
	for b.Loop() {
		passes.report = Report{Status: *status.DeepCopy(), Next: time.Minute}
		if _, err := r.Reconcile(b.Context(), ctrl.Request{NamespacedName: shop}); err != nil {
			b.Fatal(err)
		}
	}
	if sent := api.sent(); len(sent) > 0 {
		b.Errorf("at rest it wrote %v", sent)
	}
}

func TestStatusesAreComparedByWhatTheySay(t *testing.T) {
	at := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	status := func(change func(*v1alpha1.Status)) v1alpha1.Status {
		s := underWay("a")
		s.History = []v1alpha1.HistoryEntry{{Release: 2, Result: "Kept", At: at}, {Release: 1, At: at}}
		if change != nil {
			change(&s)
		}
		return s
	}
	for name, test := range map[string]struct {
		change func(*v1alpha1.Status)
		same   bool
	}{
		"nothing":            {same: true},
		"another time zone":  {func(s *v1alpha1.Status) { s.History[0].At = metav1.NewTime(at.In(time.FixedZone("", 3600))) }, true},
		"no list":            {func(s *v1alpha1.Status) { s.Images = []v1alpha1.PinnedImage{} }, true},
		"another time":       {func(s *v1alpha1.Status) { s.History[0].At = metav1.NewTime(at.Add(time.Second)) }, false},
		"another result":     {func(s *v1alpha1.Status) { s.History[0].Result = "RolledBack" }, false},
		"a release less":     {func(s *v1alpha1.Status) { s.History = s.History[:1] }, false},
		"another message":    {func(s *v1alpha1.Status) { s.Conditions[0].Message = "b" }, false},
		"another generation": {func(s *v1alpha1.Status) { s.ObservedGeneration = 2 }, false},
	} {
		if got := saysTheSame(status(nil), status(test.change)); got != test.same {
			t.Errorf("%s: %v", name, got)
		}
	}
}
