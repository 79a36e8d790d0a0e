package cluster

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	gosync "sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// secretsAPI is as much of an API server as a journal asks for: the Secrets of one namespace, by their labels.
type secretsAPI struct {
	mu      gosync.Mutex
	secrets map[string]*unstructured.Unstructured
	writes  []string // verb and name
	reads   int      // lists
}

// clusterOn is a Cluster of an API server that is played.
func clusterOn(t testing.TB, api http.Handler) *Cluster {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	config := &rest.Config{Host: server.URL}
	own, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	records, err := metadata.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &Cluster{config: config, own: own, records: records}
}

// journalOn is a journal of the Sync shop/shop on an API server that holds secrets.
func journalOn(t testing.TB, secrets ...*unstructured.Unstructured) (*Journal, *secretsAPI) {
	t.Helper()
	api := &secretsAPI{secrets: map[string]*unstructured.Unstructured{}}
	for _, secret := range secrets {
		api.secrets[secret.GetName()] = secret
	}
	c := clusterOn(t, api)
	owner := metav1.OwnerReference{APIVersion: "belay.dev/v1alpha1", Kind: "Sync", Name: "shop", UID: "5ca1ab1e"}
	return c.Journal(types.NamespacedName{Namespace: "shop", Name: "shop"}, owner), api
}

func (a *secretsAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	name := path.Base(r.URL.Path)
	var body unstructured.Unstructured
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		_ = json.NewDecoder(r.Body).Decode(&body.Object)
	}
	switch r.Method {
	case http.MethodGet:
		a.reads++
		_ = json.NewEncoder(w).Encode(a.list(r))
	case http.MethodPost:
		if a.secrets[body.GetName()] != nil {
			w.WriteHeader(http.StatusConflict)
			_ = json.NewEncoder(w).Encode(metav1.Status{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Reason: metav1.StatusReasonAlreadyExists,
				Code: http.StatusConflict,
			})
			return
		}
		a.secrets[body.GetName()] = &body
		a.writes = append(a.writes, "create "+body.GetName())
		_ = json.NewEncoder(w).Encode(body.Object)
	case http.MethodPatch:
		if a.secrets[name] == nil {
			refused(w, http.StatusNotFound)
			return
		}
		annotations := a.secrets[name].GetAnnotations()
		maps.Copy(annotations, body.GetAnnotations())
		a.secrets[name].SetAnnotations(annotations)
		a.writes = append(a.writes, "patch "+name)
		_ = json.NewEncoder(w).Encode(a.secrets[name].Object)
	case http.MethodDelete:
		for _, secret := range a.selected(r) {
			if name != "secrets" && name != secret.GetName() {
				continue
			}
			delete(a.secrets, secret.GetName())
			a.writes = append(a.writes, "delete "+secret.GetName())
		}
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess})
	}
}

func (a *secretsAPI) selected(r *http.Request) []*unstructured.Unstructured {
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		return nil
	}
	var selected []*unstructured.Unstructured
	for _, name := range slices.Sorted(maps.Keys(a.secrets)) {
		if selector.Matches(labels.Set(a.secrets[name].GetLabels())) {
			selected = append(selected, a.secrets[name])
		}
	}
	return selected
}

// list answers whole Secrets, or their metadata alone where that is asked for.
func (a *secretsAPI) list(r *http.Request) map[string]any {
	items, onlyMetadata := []any{}, strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList")
	for _, secret := range a.selected(r) {
		if onlyMetadata {
			items = append(items, map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": secret.Object["metadata"]})
			continue
		}
		items = append(items, secret.Object)
	}
	if onlyMetadata {
		return map[string]any{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": map[string]any{}, "items": items}
	}
	return map[string]any{"apiVersion": "v1", "kind": "SecretList", "metadata": map[string]any{}, "items": items}
}

// all is the Secrets, by name.
func (a *secretsAPI) all() []*unstructured.Unstructured {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []*unstructured.Unstructured
	for _, name := range slices.Sorted(maps.Keys(a.secrets)) {
		all = append(all, a.secrets[name])
	}
	return all
}
