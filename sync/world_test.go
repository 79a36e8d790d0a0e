package sync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// world is all that is outside of a Syncer, in memory: a repository, a registry, a cluster with a journal, and a
// clock. It writes down every call, can refuse calls, and can kill whoever calls. It outlives the Syncers in it.
type world struct {
	now time.Time

	head   string
	told   string               // where the head was when the remote was asked last
	polled time.Time            // when that was
	read   string               // the commit whose tree was read last
	tree   map[string]fs.FS     // by commit
	seen   map[string]time.Time // by commit: when somebody learned of it first
	tags   map[string]string    // image → digest
	away   map[string]fault     // by image: why its registry does not answer
	gone   map[string]bool      // by pinned image: its registry has it no more
	bare   map[string]bool      // by image: nobody has signed it

	requests   []PinRequest  // to resolve images
	resolvedAt time.Time     // when that was answered the last time
	missingFor time.Duration // how old the last answer of Missing could be

	live     map[manifests.ID]map[string]any
	stuck    map[manifests.ID]bool             // by a finalizer
	well     map[manifests.ID]bool             // healthy, whatever they run
	is       map[manifests.ID]manifests.Health // how they are, until they are written again
	drifted  bool
	syncs    map[types.NamespacedName]v1alpha1.Sync // others
	saw      map[types.NamespacedName]string        // the newest commit that they have seen
	releases map[int]string                         // number → the release as JSON, for it must survive as text
	records  []manifests.Record

	calls   []string
	refuse  map[string]error // by call ("Head") or by call and what it is about ("Apply Deployment/shop/cart")
	after   func(call string)
	killIn  int  // kills at the so many-th call from now; 0 for never
	killEnd bool // kills after the call has had its effect, not before
}

// killed is what a killed Syncer panics with.
type killed struct{}

func newWorld() *world {
	return &world{
		now:  time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		tree: map[string]fs.FS{}, seen: map[string]time.Time{},
		tags: map[string]string{}, away: map[string]fault{}, gone: map[string]bool{}, bare: map[string]bool{},
		live: map[manifests.ID]map[string]any{}, stuck: map[manifests.ID]bool{}, well: map[manifests.ID]bool{}, is: map[manifests.ID]manifests.Health{},
		releases: map[int]string{}, refuse: map[string]error{},
	}
}

// call writes a call down and has it take effect, unless it is refused or the caller is killed.
func (w *world) call(verb, about string, effect func()) error {
	text := strings.TrimSpace(verb + " " + about)
	w.calls = append(w.calls, text)
	last := w.killIn == 1
	w.killIn = max(0, w.killIn-1)
	if last && !w.killEnd {
		panic(killed{})
	}
	for _, key := range []string{verb, text} {
		if err := w.refuse[key]; err != nil {
			return err
		}
	}
	if effect != nil {
		effect()
	}
	if last {
		panic(killed{})
	}
	if w.after != nil {
		w.after(text)
	}
	return nil
}

// push makes a commit of objects the head.
func (w *world) push(commit string, objects ...map[string]any) {
	tree := fstest.MapFS{}
	for i, object := range objects {
		text, err := json.Marshal(object)
		if err != nil {
			panic(err)
		}
		tree[fmt.Sprintf("deploy/%d.json", i)] = &fstest.MapFile{Data: text}
	}
	w.tree[commit], w.head = tree, commit
}

// Head implements Source, and so do Commit, Tree and Unchanged. The remote is asked each minute, as somebody else would,
// and when somebody wants it; a failure is not remembered.
func (w *world) Head(_ context.Context, since time.Time) (string, time.Time, error) {
	if w.told == "" || !since.IsZero() && !w.polled.After(since) || !w.now.Before(w.polled.Add(time.Minute)) {
		if err := w.call("Head", "", nil); err != nil {
			return "", time.Time{}, err
		}
		w.told, w.polled = w.head, w.now
		if w.seen[w.head].IsZero() {
			w.seen[w.head] = w.now
		}
	}
	return w.told, w.seen[w.told], nil
}

// Unchanged compares all files.
func (w *world) Unchanged(_ context.Context, commit string) bool {
	before, _ := w.tree[w.read].(fstest.MapFS)
	now, _ := w.tree[commit].(fstest.MapFS)
	return w.read != "" && maps.EqualFunc(before, now, func(a, b *fstest.MapFile) bool { return bytes.Equal(a.Data, b.Data) })
}

func (w *world) Commit(_ context.Context, hash string) (manifests.Commit, error) {
	return manifests.Commit{Hash: hash, Author: "ana", Subject: "Do " + hash}, w.call("Commit", hash, nil)
}

func (w *world) Tree(_ context.Context, hash string) (fs.FS, error) {
	w.read = hash
	return w.tree[hash], w.call("Tree", hash, nil)
}

// Build implements Renderer.
func (w *world) Build(_ context.Context, tree fs.FS, dir string) (manifests.Set, error) {
	if err := w.call("Build", dir, nil); err != nil {
		return manifests.Set{}, err
	}
	files, err := fs.Glob(tree, path.Join(dir, "*.json"))
	if err != nil {
		return manifests.Set{}, err
	}
	var objects []manifests.Object
	for _, file := range files {
		text, err := fs.ReadFile(tree, file)
		if err != nil {
			return manifests.Set{}, err
		}
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(text); err != nil {
			return manifests.Set{}, err
		}
		object, err := manifests.NewObject(u, file)
		if err != nil {
			return manifests.Set{}, err
		}
		objects = append(objects, object)
	}
	return manifests.NewSet(objects...)
}

// Pin implements Resolver. Images without a tag in the world are refused.
func (w *world) Pin(_ context.Context, request PinRequest) (manifests.Pins, map[string]manifests.Resolution, error) {
	w.requests = append(w.requests, request)
	if err := w.call("Pin", "", nil); err != nil {
		return nil, nil, err
	}
	pins, resolved := manifests.Pins{}, map[string]manifests.Resolution{}
	var faults []error
	for _, image := range manifests.ImageNames(request.Images) {
		digest, ok := w.tags[image]
		away, isAway := w.away[image]
		switch {
		case strings.Contains(image, "@"):
			pins[image], resolved[image] = image, manifests.Resolution{}
		case isAway:
			away.subject = image
			faults = append(faults, away)
		case !ok:
			faults = append(faults, fault{reason: "ImageNotFound", subject: image})
		default:
			name, _, _ := strings.Cut(image, ":")
			pins[image], resolved[image] = name+"@"+digest, manifests.Resolution{At: w.now}
		}
	}
	w.resolvedAt = w.now
	return pins, resolved, errors.Join(faults...)
}

// Verify implements Resolver.
func (w *world) Verify(_ context.Context, request PinRequest, pins manifests.Pins, _ []v1alpha1.ImageVerification) error {
	names := manifests.ImageNames(request.Images)
	if err := w.call("Verify", strings.Join(names, " "), nil); err != nil {
		return err
	}
	var faults []error
	for _, image := range names {
		if pins[image] == "" {
			panic(image + " is to be verified and has no pin")
		}
		if w.bare[image] {
			faults = append(faults, fault{reason: "Unsigned", subject: image})
		}
	}
	return errors.Join(faults...)
}

// Missing implements Resolver.
func (w *world) Missing(_ context.Context, request PinRequest) ([]string, error) {
	names := manifests.ImageNames(request.Images)
	w.missingFor = w.now.Sub(request.Since)
	if err := w.call("Missing", strings.Join(names, " "), nil); err != nil {
		return nil, err
	}
	var missing []string
	var faults []error
	for _, image := range names {
		switch away, isAway := w.away[image]; {
		case isAway:
			away.subject = image
			faults = append(faults, away)
		case w.gone[image]:
			missing = append(missing, image)
		}
	}
	return missing, errors.Join(faults...)
}

// inCluster implements Cluster.
type inCluster struct{ *world }

func (c inCluster) Place(_ context.Context, objects manifests.Set) (manifests.Set, error) {
	if err := c.call("Place", "", nil); err != nil {
		return manifests.Set{}, err
	}
	return objects.Map(func(u *unstructured.Unstructured) error {
		if kind := u.GetKind(); kind != "Namespace" && !strings.HasSuffix(kind, "WebhookConfiguration") {
			u.SetNamespace("shop")
		}
		return nil
	})
}

func (c inCluster) Differing(_ context.Context, objects manifests.Set, _ bool) (manifests.Changes, error) {
	var changes manifests.Changes
	if err := c.call("Differing", "", nil); err != nil {
		return changes, err
	}
	for _, object := range objects.Objects() {
		id := object.ID()
		if object.Hook() != manifests.NoHook {
			continue
		}
		if same(c.live[id], object.Unstructured().Object) {
			continue
		}
		changes.Objects = append(changes.Objects, object)
		if c.live[id] != nil && !c.ours(id) {
			changes.Adopted = append(changes.Adopted, id)
		}
	}
	return changes, nil
}

// ours tells whether an object is there and bears a Sync's label.
func (w *world) ours(id manifests.ID) bool {
	u := unstructured.Unstructured{Object: w.live[id]}
	return u.Object != nil && u.GetLabels()[manifests.LabelSync] != ""
}

// LetGo takes all labels off.
func (c inCluster) LetGo(_ context.Context, ids []manifests.ID) error {
	for _, id := range ids {
		if !c.ours(id) {
			continue
		}
		err := c.call("LetGo", id.String(), func() {
			u := unstructured.Unstructured{Object: c.live[id]}
			u.SetLabels(nil)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c inCluster) Known(context.Context) ([]manifests.ID, error) {
	var ids []manifests.ID
	for id := range c.live {
		if c.ours(id) {
			ids = append(ids, id)
		}
	}
	return ids, c.call("Known", "", nil)
}

func (c inCluster) Apply(_ context.Context, objects []manifests.Object, _ bool) (putOff []manifests.Object, refused error) {
	final := false
	for _, object := range objects {
		err := c.call("Apply", object.ID().String(), func() {
			c.live[object.ID()] = object.Unstructured().Object
			delete(c.is, object.ID())
		})
		if err != nil {
			refused = err
			reason := problemOf(err).Reason
			final = final || reason != "WebhookUnavailable" && reason != "UnknownKind"
			putOff = append(putOff, object)
		}
	}
	if final {
		putOff = nil
	}
	return putOff, refused
}

func (c inCluster) Delete(_ context.Context, ids []manifests.ID) (manifests.Deletion, error) {
	var deletion manifests.Deletion
	for _, id := range ids {
		if !c.ours(id) {
			continue
		}
		err := c.call("Delete", id.String(), func() {
			if c.stuck[id] {
				deletion.Left = append(deletion.Left, id)
				return
			}
			delete(c.live, id)
		})
		if err != nil {
			deletion.Left = append(deletion.Left, id)
			return deletion, err
		}
	}
	return deletion, nil
}

// Health says what the image of a Deployment tells: "…bad…" crashes, "…slow…" is on its way, others are healthy.
func (c inCluster) Health(_ context.Context, ids []manifests.ID, closely bool) ([]manifests.Health, error) {
	about := ""
	if closely {
		about = "closely"
	}
	if err := c.call("Health", about, nil); err != nil {
		return nil, err
	}
	reports := []manifests.Health{}
	for _, id := range ids {
		report := manifests.Health{ID: id, Condition: manifests.Healthy}
		text, _ := json.Marshal(c.live[id]["spec"])
		switch {
		case c.well[id]:
		case c.is[id].Condition != "":
			report = c.is[id]
			report.ID = id
		case c.live[id] == nil:
			report = manifests.Health{ID: id, Condition: manifests.Progressing, Reason: "NotFound", Message: "it is not in the cluster"}
		case strings.Contains(string(text), "bad"):
			report = manifests.Health{ID: id, Condition: manifests.Unhealthy, Reason: "CrashLoopBackOff", Message: "it crashes"}
		case strings.Contains(string(text), "slow"):
			report = manifests.Health{ID: id, Condition: manifests.Progressing, Message: "0 of 1 pods are ready"}
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// RunHooks makes Jobs whose image says how they are, as Health tells it: what is healthy is complete.
func (c inCluster) RunHooks(ctx context.Context, jobs []manifests.Object, run string) ([]manifests.Health, error) {
	var ids []manifests.ID
	for _, job := range jobs {
		id := job.ID()
		ids = append(ids, id)
		if live := (&unstructured.Unstructured{Object: c.live[id]}); live.Object != nil && live.GetAnnotations()[manifests.AnnotationRun] == run {
			continue
		}
		err := c.call("RunHook", id.String()+" "+run, func() {
			u := job.Unstructured()
			unstructured.SetNestedField(u.Object, run, "metadata", "annotations", manifests.AnnotationRun)
			c.live[id] = u.Object
		})
		if err != nil {
			return nil, err
		}
	}
	return c.Health(ctx, ids, true)
}

// EndHooks takes Jobs away that have a TTL.
func (c inCluster) EndHooks(_ context.Context, jobs []manifests.Object) error {
	for _, job := range jobs {
		if spec, _ := job.Unstructured().Object["spec"].(map[string]any); spec["ttlSecondsAfterFinished"] != nil {
			delete(c.live, job.ID())
		}
	}
	return nil
}

func (c inCluster) StopHooks(_ context.Context, ids []manifests.ID, run string) ([]manifests.ID, error) {
	for _, id := range ids {
		u := unstructured.Unstructured{Object: c.live[id]}
		text, _ := json.Marshal(c.live[id])
		if u.Object == nil || u.GetAnnotations()[manifests.AnnotationRun] == "" || u.GetAnnotations()[manifests.AnnotationRun] == run ||
			!strings.Contains(string(text), "slow") || c.well[id] {
			continue
		}
		if err := c.call("StopHook", id.String(), func() { delete(c.live, id) }); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// Reachable is all Syncs of the world.
func (c inCluster) Reachable(context.Context, []v1alpha1.Dependency) (map[types.NamespacedName]v1alpha1.Sync, error) {
	return c.syncs, nil
}

func (c inCluster) PassedOver(sync types.NamespacedName) (from, to string) { return "v1", c.saw[sync] }

func (c inCluster) AskToLook(sync types.NamespacedName) { _ = c.call("AskToLook", sync.String(), nil) }

func (c inCluster) ReplacePods(context.Context, []manifests.ID, bool) error {
	return c.call("ReplacePods", "", nil)
}

// inJournal implements Journal.
type inJournal struct{ *world }

func (j inJournal) Records(context.Context) ([]manifests.Record, error) {
	return slices.Clone(j.records), j.refuse["Records"]
}

func (j inJournal) Load(_ context.Context, number int) (manifests.Release, error) {
	var release manifests.Release
	if err := j.call("Load", fmt.Sprint(number), nil); err != nil {
		return release, err
	}
	return release, json.Unmarshal([]byte(j.releases[number]), &release)
}

func (j inJournal) Store(_ context.Context, release manifests.Release) error {
	return j.call("Store", fmt.Sprint(release.Number), func() {
		text, err := json.Marshal(release)
		if err != nil {
			panic(err)
		}
		j.releases[release.Number] = string(text)
		j.records = append(j.records, manifests.Record{
			Number: release.Number, Commit: release.Commit, Rendered: release.Rendered, Objects: release.Objects.Digest(),
			Options: release.Options, At: j.now, Ailing: release.Ailing, Outcome: manifests.Outcome{Result: manifests.Applying},
		})
	})
}

func (j inJournal) Drop(_ context.Context, number int) error {
	return j.call("Drop", fmt.Sprint(number), func() {
		j.records = slices.DeleteFunc(j.records, func(r manifests.Record) bool { return r.Number == number })
		delete(j.releases, number)
	})
}

func (j inJournal) Mark(_ context.Context, number int, outcome manifests.Outcome) error {
	about := fmt.Sprintf("%d %s", number, outcome.Result)
	if outcome.Pruned {
		about += ", pruned"
	}
	return j.call("Mark", about, func() {
		for i := range j.records {
			if j.records[i].Number == number {
				j.records[i].Outcome = outcome
			}
		}
	})
}

// fault is an error of the outside world that describes itself.
type fault struct {
	reason    string
	subject   string
	temporary bool
	after     time.Duration
}

func (f fault) Error() string                           { return "no: " + f.reason }
func (f fault) Describe() (string, bool, time.Duration) { return f.reason, f.temporary, f.after }
func (f fault) Subject() string                         { return f.subject }

var (
	down   = fault{reason: "ClusterUnavailable", temporary: true}
	denied = fault{reason: "AdmissionDenied"}
)

// config is a ConfigMap that says value.
func config(name, value string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}, "data": map[string]any{"value": value}}
}

// web is a Deployment that runs image.
func web(name, image string) map[string]any {
	return map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name}, "spec": map[string]any{
		"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": name, "image": image}}}},
	}}
}

func same(a, b map[string]any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// agent is what stands around a Syncer: the Sync resource, and the calls for a pass. It does as cmd/belay does.
type agent struct {
	*world
	t      testing.TB
	syncer *Syncer
	spec   v1alpha1.Spec
	status v1alpha1.Status
	gen    int64
	asked  map[string]string // the Sync's annotations
	check  time.Duration     // see Syncer.CheckImages
	out    Outcome           // of the last pass
	events []string
}

func newAgent(t testing.TB, w *world) *agent {
	a := &agent{world: w, t: t, gen: 1, asked: map[string]string{}, spec: v1alpha1.Spec{
		Source: v1alpha1.Source{URL: "https://git.example.com/shop", Path: "deploy", Interval: metav1.Duration{Duration: time.Minute}},
		Health: v1alpha1.HealthChecks{
			Timeout:   metav1.Duration{Duration: 5 * time.Minute},
			StableFor: metav1.Duration{Duration: 10 * time.Second},
		},
		Rollback: v1alpha1.Rollback{Keep: 10},
	}}
	a.restart()
	return a
}

// restart takes a new Syncer, which knows nothing but what the world and the status hold.
func (a *agent) restart() {
	clear(a.seen)
	a.told = ""
	a.syncer = &Syncer{
		Namespace: "shop", Name: "shop", Source: a.world, Renderer: a.world, Resolver: a.world,
		Cluster: inCluster{a.world}, Journal: inJournal{a.world}, Clock: func() time.Time { return a.now },
		CheckImages: a.check,
	}
}

// pass makes one pass, and answers the calls that it made.
func (a *agent) pass() []string {
	a.t.Helper()
	from := len(a.calls)
	drifted := a.drifted
	a.drifted = false
	resource := &v1alpha1.Sync{Spec: a.spec, Status: a.status}
	resource.Annotations = maps.Clone(a.asked)
	want := WantOf(resource)
	want.Drifted = drifted
	a.out = a.syncer.Sync(a.t.Context(), want)
	a.status = a.out.Status(a.status, a.gen, a.now)
	a.out.Answer(want, &a.status)
	for _, e := range a.out.Events {
		a.events = append(a.events, e.Reason)
	}
	return slices.Clone(a.calls[from:])
}

// passAfter lets time go by before a pass.
func (a *agent) passAfter(d time.Duration) []string {
	a.t.Helper()
	a.now = a.now.Add(d)
	return a.pass()
}

// poll asks for a look at the remote, and makes the pass.
func (a *agent) poll() []string {
	a.t.Helper()
	a.asked[v1alpha1.AnnotationSyncAt] = fmt.Sprint(a.now, len(a.calls))
	return a.pass()
}

// result is what became of the newest release.
func (a *agent) result() manifests.Result {
	if len(a.records) == 0 {
		return ""
	}
	return a.records[len(a.records)-1].Outcome.Result
}

// until passes, each as late as the one before allows, until the newest release is of commit and has come to result.
func (a *agent) until(commit string, result manifests.Result) {
	a.t.Helper()
	for range 500 {
		a.pass()
		if a.result() == result && a.records[len(a.records)-1].Commit.Hash == commit {
			return
		}
		a.now = a.now.Add(a.out.Next)
	}
	a.t.Fatalf("%s is not %s but %s of %s: %s", commit, result, a.result(), a.records[len(a.records)-1].Commit.Hash, a.status.Phase)
}

// settle passes until there is nothing left to do for the head.
func (a *agent) settle() {
	a.t.Helper()
	for range 500 {
		calls := a.poll()
		newest := a.out.State.Newest
		quiet := !slices.ContainsFunc(calls, writes)
		if quiet && a.out.Problem == nil && newest != nil && !a.out.State.Open() && !a.out.State.RollingBack() {
			return
		}
		a.now = a.now.Add(min(a.out.Next, 10*time.Second))
	}
	a.t.Fatalf("it does not settle: %s, %+v, problem %+v", a.status.Phase, a.out.Verdict, a.out.Problem)
}

// survives makes calls until they end or are killed, and tells which.
func survives(do func()) (survived bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(killed); !ok {
				panic(r)
			}
		}
	}()
	do()
	return true
}

// writes tells the calls that change the cluster or the journal.
func writes(call string) bool {
	verb, _, _ := strings.Cut(call, " ")
	return slices.Contains([]string{"Store", "Mark", "Drop", "Apply", "Delete", "LetGo", "RunHook", "StopHook"}, verb)
}

// asks tells the calls to Git and the registry, and those that render.
func asks(call string) bool {
	verb, _, _ := strings.Cut(call, " ")
	return slices.Contains([]string{"Head", "Commit", "Tree", "Build", "Pin", "Verify", "Missing"}, verb)
}

// touches tells the calls that make requests for objects.
func touches(call string) bool {
	verb, _, _ := strings.Cut(call, " ")
	return slices.Contains([]string{"Differing", "Apply", "Delete", "LetGo"}, verb)
}

// only is the calls for which is holds.
func only(calls []string, is func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(calls), func(call string) bool { return !is(call) })
}

// inLive lists what is in the cluster: "Deployment/shop/cart acme/cart@sha256:1", "ConfigMap/shop/vars 1".
func (w *world) inLive() []string {
	var list []string
	for _, id := range slices.SortedFunc(maps.Keys(w.live), manifests.ID.Compare) {
		u := unstructured.Unstructured{Object: w.live[id]}
		value, _, _ := unstructured.NestedString(u.Object, "data", "value")
		containers, _, _ := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
		for _, c := range containers {
			value = c.(map[string]any)["image"].(string)
		}
		list = append(list, strings.TrimSpace(id.String()+" "+value))
	}
	return list
}

// kept is an agent that keeps release 1, of commit v1: a ConfigMap, a Deployment and a Service.
func kept(t testing.TB) *agent {
	t.Helper()
	w := newWorld()
	w.tags["acme/cart:1"] = "sha256:one"
	w.push("v1", config("vars", "1"), web("cart", "acme/cart:1"), config("old", "1"))
	a := newAgent(t, w)
	a.until("v1", manifests.Kept)
	a.events = nil
	return a
}

// pushGood makes v2, which drops one object, changes two and brings one.
func (a *agent) pushGood() {
	a.tags["acme/cart:2"] = "sha256:two"
	a.push("v2", config("vars", "2"), web("cart", "acme/cart:2"), config("new", "2"))
}

// pushBad makes the same, with an image that crashes.
func (a *agent) pushBad() {
	a.pushGood()
	a.tags["acme/cart:2"] = "sha256:bad"
}

var (
	liveV1 = []string{"ConfigMap/shop/old 1", "ConfigMap/shop/vars 1", "Deployment/shop/cart acme/cart@sha256:one"}
	liveV2 = []string{"ConfigMap/shop/new 2", "ConfigMap/shop/vars 2", "Deployment/shop/cart acme/cart@sha256:two"}
)

// ready is the Ready condition.
func (a *agent) ready() metav1.Condition {
	a.t.Helper()
	ready := meta.FindStatusCondition(a.status.Conditions, v1alpha1.Ready)
	if ready == nil {
		a.t.Fatal("there is no Ready condition")
	}
	return *ready
}
