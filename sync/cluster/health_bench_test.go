package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/belay-gitops/belay/manifests"
)

// watchedAPI is as much of an API server as watches ask for: lists of what is there, and watches that tell nothing.
type watchedAPI map[string][]any // by the last part of the path: "configmaps"

func (a watchedAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Query().Get("sendInitialEvents") != "" { // the lists come by a request of their own
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
			Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity})
		return
	}
	if r.URL.Query().Get("watch") != "" {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	kind, version := "List", "v1"
	if onlyMetadata(r) {
		kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": kind, "apiVersion": version,
		"metadata": map[string]any{"resourceVersion": "9"}, "items": a[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]]})
}

// watchedBy is a Sync's view of a cluster in which the objects are there, written as JSON, and watched.
func watchedBy(b *testing.B, texts []string) (*Objects, []manifests.ID) {
	b.Helper()
	shop := types.NamespacedName{Namespace: "shop", Name: "shop"}
	api, mapper := watchedAPI{}, meta.NewDefaultRESTMapper([]schema.GroupVersion{{Version: "v1"}, {Group: "apps", Version: "v1"}, {Group: "networking.k8s.io", Version: "v1"}})
	var ids []manifests.ID
	for _, text := range texts {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON([]byte(text)); err != nil {
			b.Fatal(err)
		}
		u.SetLabels(map[string]string{manifests.LabelSync: shop.Name, manifests.LabelNamespace: shop.Namespace})
		u.SetResourceVersion("7")
		mapper.Add(u.GroupVersionKind(), meta.RESTScopeNamespace)
		mapping, err := mapper.RESTMapping(u.GroupVersionKind().GroupKind(), "v1")
		if err != nil {
			b.Fatal(err)
		}
		api[mapping.Resource.Resource] = append(api[mapping.Resource.Resource], u.Object)
		ids = append(ids, idOf(u))
	}
	server := httptest.NewServer(api)
	ctx, cancel := context.WithCancel(b.Context())
	config := &rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{GroupVersion: &schema.GroupVersion{Version: "v1"}}}
	watches, err := newWatches(config, mapper, func(types.NamespacedName) {})
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- watches.Start(ctx) }()
	b.Cleanup(func() {
		cancel()
		server.CloseClientConnections()
		<-ended
		server.Close()
	})
	c := &Cluster{mapper: mapper, watches: watches, pods: newPodWatches(config, mapper, func(types.NamespacedName) {}, watches.Owner)}
	o := &Objects{cluster: c, sync: shop}
	if !watches.cache.WaitForCacheSync(ctx) {
		b.Fatal("the watches do not start")
	}
	reports, err := o.Health(ctx, ids, false)
	if err != nil {
		b.Fatal(err)
	}
	for _, report := range reports {
		if !report.Good() {
			b.Fatalf("%+v", report)
		}
	}
	return o, ids
}

// BenchmarkHealth measures asking how the objects of a Sync are that rests, with all of them watched: no request is made.
func BenchmarkHealth(b *testing.B) {
	var many []string
	for i := range 100 {
		many = append(many, app(fmt.Sprintf("web-%03d", i))...)
	}
	for _, size := range []struct {
		name  string
		texts []string
	}{{"4", app("web")}, {"1000ConfigMaps", configMaps(1000)}, {"5000ConfigMaps", configMaps(5000)}, {"100Workloads", many}} {
		b.Run(size.name, func(b *testing.B) {
			o, ids := watchedBy(b, size.texts)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := o.Health(b.Context(), ids, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
