package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	gosync "sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/belay-gitops/belay/manifests"
)

// playedAPI is as much of an API server as objects of a Sync ask for: it applies, on the server's side and without
// conflicts, lists, and tells watches. It counts what it is asked.
type playedAPI struct {
	mu       gosync.Mutex
	objects  map[string]*unstructured.Unstructured // by path
	version  int
	watchers map[chan playedEvent]string // and what they watch
	asked    map[string]int              // "list", "watch", "get", "try", "apply"
	loses    bool                        // the answers to what it applies
	mute     bool                        // it tells watches nothing
	forbids  string                      // what may not be listed or watched: the beginning of a path
	without  string                      // what of discovery is not there: the beginning of a path
	newer    bool                        // it serves the kind of playedServing in a version more, which it prefers
}

type playedEvent struct {
	what   string
	object *unstructured.Unstructured
}

const (
	playedCore = `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"v1","resources":[
		{"name":"configmaps","kind":"ConfigMap","namespaced":true,"verbs":["get","list","watch","patch"]},
		{"name":"services","kind":"Service","namespaced":true,"verbs":["get","list","watch","patch"]}]}`
	playedApps = `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"apps/v1","resources":[
		{"name":"deployments","kind":"Deployment","namespaced":true,"verbs":["get","list","watch","patch"]}]}`
	playedBelay = `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"belay.dev/v1alpha1","resources":[
		{"name":"syncs","kind":"Sync","namespaced":true,"verbs":["get","list","watch","patch"]}]}`
	playedServing = `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"serving.example/v1","resources":[
		{"name":"services","kind":"Service","namespaced":true,"verbs":["get","list","watch","patch"]}]}`
	playedGroups = `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"apps",
		"versions":[{"groupVersion":"apps/v1","version":"v1"}],"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}},{"name":"belay.dev",
		"versions":[{"groupVersion":"belay.dev/v1alpha1","version":"v1alpha1"}],"preferredVersion":{"groupVersion":"belay.dev/v1alpha1","version":"v1alpha1"}},{"name":"serving.example",
		"versions":[{"groupVersion":"serving.example/v1","version":"v1"}],"preferredVersion":{"groupVersion":"serving.example/v1","version":"v1"}}]}`
)

var playedDiscovery = map[string]string{
	"/api": `{"kind":"APIVersions","versions":["v1"]}`, "/apis": playedGroups, "/api/v1": playedCore, "/apis/apps/v1": playedApps,
	"/apis/serving.example/v1": playedServing, "/apis/belay.dev/v1alpha1": playedBelay,
	"/apis/serving.example": `{"kind":"APIGroup","apiVersion":"v1","name":"serving.example","versions":[{"groupVersion":"serving.example/v1","version":"v1"}],"preferredVersion":{"groupVersion":"serving.example/v1","version":"v1"}}`,
	"/apis/apps":            `{"kind":"APIGroup","apiVersion":"v1","name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"}],"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}}`,
}

// play starts an API server, and a Cluster that watches it.
func play(t testing.TB) (*playedAPI, *Cluster) {
	t.Helper()
	api, c := playUnstarted(t)
	start(t, c)
	return api, c
}

// playUnstarted is play before the watches run.
func playUnstarted(t testing.TB) (*playedAPI, *Cluster) {
	t.Helper()
	api := &playedAPI{objects: map[string]*unstructured.Unstructured{}, watchers: map[chan playedEvent]string{}, asked: map[string]int{}, version: 1}
	server := httptest.NewServer(api)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	c, err := Connect(limited(&rest.Config{Host: server.URL}, 0), func(types.NamespacedName) {})
	if err != nil {
		t.Fatal(err)
	}
	return api, c
}

func start(t testing.TB, r manager.Runnable) {
	ended := make(chan error, 1)
	go func() { ended <- r.Start(t.Context()) }()
	t.Cleanup(func() { // t's context is over by now
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func (a *playedAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if text, ok := a.discovery(r.URL.Path); ok {
		fmt.Fprint(w, text)
		return
	}
	parts, query := strings.Split(r.URL.Path, "/"), r.URL.Query()
	last := parts[len(parts)-1]
	isList := last == "configmaps" || last == "services" || last == "deployments" || last == "syncs"
	switch {
	case isList && a.forbids != "" && strings.HasPrefix(r.URL.Path, a.forbids):
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}`)
	case query.Get("watch") == "true":
		a.watch(w, r)
	case isList:
		a.list(w, r)
	case r.Method == http.MethodGet:
		a.get(w, r)
	default:
		a.apply(w, r)
	}
}

func (a *playedAPI) discovery(path string) (text string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.without != "" && strings.HasPrefix(path, a.without) {
		return "", false
	}
	text, ok = playedDiscovery[path]
	switch serving := strings.HasPrefix(path, "/apis/serving.example/v2"); {
	case a.newer && serving:
		return strings.ReplaceAll(playedServing, "/v1", "/v2"), true
	case a.newer && path == "/apis":
		const older = `{"groupVersion":"serving.example/v1","version":"v1"}`
		newer := strings.ReplaceAll(older, "v1", "v2")
		text = strings.ReplaceAll(text, `"preferredVersion":`+older, `"preferredVersion":`+newer)
		text = strings.ReplaceAll(text, `[`+older, `[`+newer+`,`+older)
	}
	return text, ok
}

func (a *playedAPI) count(what string) { a.asked[what]++ }

// requests is what was asked since the last call, but for watches.
func (a *playedAPI) requests() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.asked
	a.asked = map[string]int{}
	delete(asked, "watch")
	return asked
}

func (a *playedAPI) write(w io.Writer, r *http.Request, u *unstructured.Unstructured) {
	_ = json.NewEncoder(w).Encode(formOf(r, u))
}

// formOf is an object as it is asked for: whole, or its metadata.
func formOf(r *http.Request, u *unstructured.Unstructured) map[string]any {
	if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata") {
		return map[string]any{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": u.Object["metadata"]}
	}
	return u.Object
}

func (a *playedAPI) get(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count("get")
	u := a.objects[r.URL.Path]
	if u == nil {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`)
		return
	}
	a.write(w, r, u)
}

func (a *playedAPI) list(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count("list")
	items := []any{}
	for path, u := range a.objects {
		if isWatched(r.URL.Path, path) {
			items = append(items, formOf(r, u))
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "List", "apiVersion": "v1",
		"metadata": map[string]any{"resourceVersion": strconv.Itoa(a.version)}, "items": items})
}

// isWatched tells whether a list of all namespaces, or of one, has an object. All of them bear labels of Syncs.
func isWatched(list, path string) bool {
	resource := list[strings.LastIndex(list, "/"):]
	return strings.HasPrefix(path, list+"/") || !strings.Contains(list, "/namespaces/") && strings.Contains(path, resource+"/")
}

func (a *playedAPI) watch(w http.ResponseWriter, r *http.Request) {
	events := make(chan playedEvent, 10000)
	a.mu.Lock()
	a.count("watch")
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		for path, u := range a.objects {
			if isWatched(r.URL.Path, path) {
				events <- playedEvent{"ADDED", u}
			}
		}
		end := &unstructured.Unstructured{Object: playedKind(r.URL.Path)}
		end.SetResourceVersion(strconv.Itoa(a.version))
		end.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
		events <- playedEvent{"BOOKMARK", end}
	}
	a.watchers[events] = r.URL.Path
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.watchers, events)
		a.mu.Unlock()
	}()
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case event := <-events:
			_ = json.NewEncoder(w).Encode(map[string]any{"type": event.what, "object": formOf(r, event.object)})
			w.(http.Flusher).Flush()
		}
	}
}

// playedKind is an object of the kind that a list is of, and no more.
func playedKind(list string) map[string]any {
	kinds := map[string]string{"configmaps": "ConfigMap", "services": "Service", "deployments": "Deployment", "syncs": "Sync"}
	object := map[string]any{"apiVersion": "v1", "kind": kinds[list[strings.LastIndex(list, "/")+1:]]}
	if group, ok := strings.CutPrefix(list, "/apis/"); ok {
		object["apiVersion"] = strings.Join(strings.SplitN(group, "/", 3)[:2], "/")
	}
	return object
}

func (a *playedAPI) apply(w http.ResponseWriter, r *http.Request) {
	var content map[string]any
	if err := json.NewDecoder(r.Body).Decode(&content); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.objects[r.URL.Path]
	now := appliedTo(before, content)
	if r.URL.Query().Has("dryRun") {
		a.count("try")
		a.write(w, r, now)
		return
	}
	a.count("apply")
	if before == nil || !reflect.DeepEqual(before.Object, now.Object) {
		a.put(r.URL.Path, now)
	}
	if a.loses {
		http.Error(w, "what was done is not told", http.StatusInternalServerError)
		return
	}
	a.write(w, r, now)
}

// appliedTo is what becomes of an object: belay's is all that it applies, and nothing else is there.
func appliedTo(before *unstructured.Unstructured, content map[string]any) *unstructured.Unstructured {
	now := &unstructured.Unstructured{Object: content}
	fields := fieldpath.SetFromValue(value.NewValueInterface(now.DeepCopy().Object))
	text, err := fields.ToJSON()
	if err != nil {
		panic(err)
	}
	if before != nil {
		now.SetUID(before.GetUID())
		now.SetResourceVersion(before.GetResourceVersion())
		now.SetGeneration(before.GetGeneration())
		if status, ok := before.Object["status"]; ok {
			now.Object["status"] = status
		}
	} else {
		now.SetUID(types.UID(fmt.Sprint("uid-", now.GetNamespace(), "-", now.GetName())))
	}
	now.SetManagedFields([]metav1.ManagedFieldsEntry{fields1(text)})
	return now
}

func fields1(text []byte) metav1.ManagedFieldsEntry {
	return fields(FieldManager, metav1.ManagedFieldsOperationApply, "", string(text))
}

// put stores an object, and tells the watches. The caller holds the lock.
func (a *playedAPI) put(path string, u *unstructured.Unstructured) {
	a.version++
	u.SetResourceVersion(strconv.Itoa(a.version))
	what := "MODIFIED"
	if a.objects[path] == nil {
		what = "ADDED"
	}
	a.objects[path] = u
	a.tell(what, path, u)
}

func (a *playedAPI) tell(what, path string, u *unstructured.Unstructured) {
	for events, list := range a.watchers {
		if !a.mute && isWatched(list, path) {
			events <- playedEvent{what, u}
		}
	}
}

// edit is what somebody else does to an object.
func (a *playedAPI) edit(path string, change func(*unstructured.Unstructured)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := a.objects[path].DeepCopy()
	change(u)
	a.put(path, u)
}

func (a *playedAPI) remove(path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	u := a.objects[path].DeepCopy()
	u.SetResourceVersion(strconv.Itoa(a.version))
	delete(a.objects, path)
	a.tell("DELETED", path, u)
}

// seenBy waits until the watches have what the API server has of a set.
func (a *playedAPI) seenBy(t testing.TB, c *Cluster, ids []manifests.ID) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for _, id := range ids {
		for {
			seen, err := c.watches.peek(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			a.mu.Lock()
			live := a.objects[playedPath(id)]
			a.mu.Unlock()
			if live == nil && seen == nil || live != nil && seen != nil && seen.GetResourceVersion() == live.GetResourceVersion() {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the watches do not see %s", id)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

func playedPath(id manifests.ID) string {
	root, resource := "/api/v1", strings.ToLower(id.Kind)+"s"
	if id.Group != "" {
		root = "/apis/" + id.Group + "/v1"
	}
	return root + "/namespaces/" + id.Namespace + "/" + resource + "/" + id.Name
}
