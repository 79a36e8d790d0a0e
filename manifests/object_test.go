package manifests

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// content reads YAML as the API server would: integers as integers.
func content(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	body, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(body); err != nil {
		t.Fatal(err)
	}
	return u
}

// object makes an Object of YAML, as if it stood in file.
func object(t testing.TB, file, text string) Object {
	t.Helper()
	o, err := NewObject(content(t, text), file)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// set makes a Set of YAML documents, all of them in deploy.yaml.
func set(t testing.TB, documents ...string) Set {
	t.Helper()
	var objects []Object
	for _, text := range documents {
		objects = append(objects, object(t, "deploy.yaml", text))
	}
	s, err := NewSet(objects...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// contents is a deep copy of all that a set holds.
func contents(s Set) []map[string]any {
	var all []map[string]any
	for _, o := range s.Objects() {
		all = append(all, o.Unstructured().Object)
	}
	return all
}

func TestWhatCannotBeAppliedIsNoObject(t *testing.T) {
	for _, test := range []struct {
		name    string
		content map[string]any
		says    string
	}{
		{"nothing at all", nil, "without apiVersion"},
		{"no apiVersion", map[string]any{"kind": "Service", "metadata": map[string]any{"name": "cart"}}, "without apiVersion"},
		{"no kind", map[string]any{"apiVersion": "v1", "metadata": map[string]any{"name": "cart"}}, "without kind"},
		{"no metadata", map[string]any{"apiVersion": "v1", "kind": "Service"}, "Service without metadata.name"},
		{"metadata that is text", map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": "cart"}, "Service without metadata.name"},
		{"no name", map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"namespace": "shop"}}, "Service without metadata.name"},
		{"a name that is a number", map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": int64(7)}}, "Service without metadata.name"},
		{"generateName", map[string]any{"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"generateName": "seed-"}}, "Job has generateName: write metadata.name"},
		{"generateName beside a name", map[string]any{"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": "seed", "generateName": "seed-"}}, "generateName"},
		{"an apiVersion of three parts", map[string]any{"apiVersion": "apps/v1/x", "kind": "Deployment", "metadata": map[string]any{"name": "cart"}}, `Deployment/cart: apiVersion "apps/v1/x" is not group/version`},
		{"a name that climbs out of its path", named("../x", "shop"), `metadata.name "../x"`},
		{"a name that climbs far", named("../../namespaces/kube-system", "shop"), "metadata.name"},
		{"a name with a slash", named("a/b", "shop"), `metadata.name "a/b"`},
		{"a name that is its own directory", named(".", "shop"), `metadata.name "."`},
		{"a name that is the directory above", named("..", "shop"), `metadata.name ".."`},
		{"a name with a percent sign", named("a%2fb", "shop"), `metadata.name "a%2fb"`},
		{"a namespace that climbs out of its path", named("cart", "../x"), `metadata.namespace "../x"`},
		{"a namespace with a slash", named("cart", "shop/secrets"), `metadata.namespace "shop/secrets"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := NewObject(&unstructured.Unstructured{Object: test.content}, "deploy/cart.yaml")
			if err == nil {
				t.Fatal("it was accepted")
			}
			if !strings.HasPrefix(err.Error(), "deploy/cart.yaml: ") || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %q, want the file and %q", err, test.says)
			}
		})
	}
}

func named(name, namespace string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": namespace}}
}

func TestNamesThatKubernetesAllowsAreAccepted(t *testing.T) {
	for _, name := range []string{"cart", "system:controller:cart", "v1.apps", "Upper_case", "a..b"} {
		if _, err := NewObject(&unstructured.Unstructured{Object: named(name, "")}, "x.yaml"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const exported = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: cart
  namespace: shop
  labels: {app: cart}
  annotations: {team: shop}
  uid: 0b3a
  resourceVersion: "41"
  generation: 7
  creationTimestamp: "2026-01-02T03:04:05Z"
  selfLink: /apis/apps/v1
  ownerReferences: [{kind: Sync, name: x}]
  managedFields: [{manager: kubectl}]
spec: {replicas: 3}
status: {replicas: 2}
`

func TestFieldsOfTheServerAreLeftOut(t *testing.T) {
	got := object(t, "cart.yaml", exported).Unstructured().Object
	want := map[string]any{
		"apiVersion": "apps/v1",
		"kind":       "Deployment",
		"metadata": map[string]any{
			"name": "cart", "namespace": "shop",
			"labels":      map[string]any{"app": "cart"},
			"annotations": map[string]any{"team": "shop"},
		},
		"spec": map[string]any{"replicas": int64(3)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnObjectIsACopyOfWhatItWasMadeFrom(t *testing.T) {
	u := content(t, exported)
	before := u.DeepCopy()
	o, err := NewObject(u, "cart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, u); diff != "" {
		t.Error("what it was made from was changed:", diff)
	}
	u.SetName("other")
	o.Unstructured().SetName("third")
	if got := o.ID(); got != deployment {
		t.Errorf("the object changed to %s", got)
	}
}

func TestAnObjectIsNamedWithItsFile(t *testing.T) {
	o := object(t, "deploy/cart.yaml", exported)
	if got, want := o.String(), "Deployment/shop/cart (deploy/cart.yaml)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	o.File = ""
	if got, want := o.String(), "Deployment/shop/cart"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := o.GroupVersionKind().String(); got != "apps/v1, Kind=Deployment" {
		t.Errorf("got %s", got)
	}
	if got := o.Annotation("team") + o.Annotation("none"); got != "shop" {
		t.Errorf("got %s", got)
	}
}
