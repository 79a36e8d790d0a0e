package cluster

import (
	"encoding/json"
	"net/http"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// readingAPI is as much of an API server as reading asks for: objects by their paths, whole or their metadata alone.
type readingAPI struct {
	objects  map[string]*unstructured.Unstructured // by path: "/api/v1/namespaces/shop/secrets/registry"
	refusals map[string]int                        // what is answered for a path instead, as an HTTP status

	mu    gosync.Mutex
	asked []string // the paths
}

// reading is a connection to an API server that holds objects, each written as YAML.
func reading(t *testing.T, objects ...string) (*Cluster, *readingAPI) {
	t.Helper()
	api := &readingAPI{objects: map[string]*unstructured.Unstructured{}, refusals: map[string]int{}}
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Version: "v1"}, {Group: "apps", Version: "v1"}, {Group: "batch", Version: "v1"},
		{Group: "storage.k8s.io", Version: "v1"}, {Group: "argoproj.io", Version: "v1alpha1"}})
	for gvk, scope := range map[schema.GroupVersionKind]meta.RESTScope{
		{Version: "v1", Kind: "Pod"}:                                   meta.RESTScopeNamespace,
		{Version: "v1", Kind: "Node"}:                                  meta.RESTScopeRoot,
		{Version: "v1", Kind: "Secret"}:                                meta.RESTScopeNamespace,
		{Version: "v1", Kind: "Event"}:                                 meta.RESTScopeNamespace,
		{Version: "v1", Kind: "PersistentVolumeClaim"}:                 meta.RESTScopeNamespace,
		{Group: "storage.k8s.io", Version: "v1", Kind: "StorageClass"}: meta.RESTScopeRoot,
		{Version: "v1", Kind: "ServiceAccount"}:                        meta.RESTScopeNamespace,
		{Group: "apps", Version: "v1", Kind: "Deployment"}:             meta.RESTScopeNamespace,
		{Group: "apps", Version: "v1", Kind: "ReplicaSet"}:             meta.RESTScopeNamespace,
		{Group: "batch", Version: "v1", Kind: "Job"}:                   meta.RESTScopeNamespace,
		{Group: "batch", Version: "v1", Kind: "CronJob"}:               meta.RESTScopeNamespace,
		{Group: "argoproj.io", Version: "v1alpha1", Kind: "Rollout"}:   meta.RESTScopeNamespace,
	} {
		mapper.Add(gvk, scope)
	}
	for _, text := range objects {
		u := live(t, text)
		mapping, err := mapper.RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
		if err != nil {
			t.Fatal(err)
		}
		api.objects[pathOf(mapping, u)] = u
	}
	c := clusterOn(t, api)
	c.mapper, c.platforms = mapper, platforms{clock: time.Now}
	return c, api
}

func pathOf(mapping *meta.RESTMapping, u *unstructured.Unstructured) string {
	base := "/apis/" + mapping.Resource.Group + "/" + mapping.Resource.Version
	if mapping.Resource.Group == "" {
		base = "/api/" + mapping.Resource.Version
	}
	if u.GetNamespace() != "" {
		base += "/namespaces/" + u.GetNamespace()
	}
	return base + "/" + mapping.Resource.Resource + "/" + u.GetName()
}

func (a *readingAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.URL.Path)
	w.Header().Set("Content-Type", "application/json")
	switch code := a.refusals[r.URL.Path]; {
	case code != 0:
		refused(w, code)
	case a.objects[r.URL.Path] != nil:
		_ = json.NewEncoder(w).Encode(a.shown(r, a.objects[r.URL.Path]))
	default:
		items, is := a.list(r)
		if !is {
			refused(w, http.StatusNotFound)
			return
		}
		kind, version := "List", "v1"
		if onlyMetadata(r) {
			kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": kind, "apiVersion": version, "metadata": map[string]any{}, "items": items})
	}
}

// list is the objects right below a path, as a collection's is; false where the path is that of an object.
func (a *readingAPI) list(r *http.Request) (items []any, is bool) {
	last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	for path, object := range a.objects {
		if name, below := strings.CutPrefix(path, r.URL.Path+"/"); below && !strings.Contains(name, "/") {
			items = append(items, a.shown(r, object))
		}
	}
	return append([]any{}, items...), last == "pods" || last == "nodes" || last == "events"
}

func (a *readingAPI) shown(r *http.Request, object *unstructured.Unstructured) map[string]any {
	if onlyMetadata(r) {
		return map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object.Object["metadata"]}
	}
	return object.Object
}

func onlyMetadata(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadata")
}

// refused answers an error whose words hold what must not be told.
func refused(w http.ResponseWriter, code int) {
	reason := map[int]metav1.StatusReason{
		http.StatusNotFound: metav1.StatusReasonNotFound, http.StatusForbidden: metav1.StatusReasonForbidden,
		http.StatusInternalServerError: metav1.StatusReasonInternalError,
	}[code]
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
		Reason: reason, Message: "the server quotes hunter2", Code: int32(code),
	})
}

// requests is what was asked since the last call.
func (a *readingAPI) requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	asked := a.asked
	a.asked = nil
	return asked
}
