package manifests

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	cartService = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {ports: [{port: 80}]}"
	cartConfig  = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cart, namespace: shop}\ndata: {html: \"<a&b>\"}"
)

func TestTheSameObjectTwiceIsRefusedNamingBothFiles(t *testing.T) {
	beta := strings.Replace(exported, "apps/v1", "apps/v1beta2", 1)
	_, err := NewSet(object(t, "a/cart.yaml", exported), object(t, "c.yaml", cartService), object(t, "b/copy.yaml", beta))
	if err == nil || !strings.Contains(err.Error(), "Deployment/shop/cart") ||
		!strings.Contains(err.Error(), "a/cart.yaml") || !strings.Contains(err.Error(), "b/copy.yaml") {
		t.Errorf("got %v, want the object and both files", err)
	}
}

func TestTheSameNameElsewhereIsAnotherObject(t *testing.T) {
	s := set(t, cartService, cartConfig, strings.Replace(cartService, "shop", "shop-2", 1),
		strings.Replace(cartService, "v1", "serving.knative.dev/v1", 1))
	if s.Len() != 4 {
		t.Errorf("got %d objects", s.Len())
	}
}

func TestASetKeepsTheOrderAndNamesItsObjectsSorted(t *testing.T) {
	s := set(t, exported, cartService, cartConfig)
	var read []ID
	for _, o := range s.Objects() {
		read = append(read, o.ID())
	}
	if diff := cmp.Diff([]ID{deployment, service, configMap}, read); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]ID{configMap, service, deployment}, s.IDs()); diff != "" {
		t.Error(diff)
	}
}

func TestASetDoesNotShareItsListWithAnybody(t *testing.T) {
	given := []Object{object(t, "a.yaml", cartService), object(t, "b.yaml", cartConfig)}
	s, err := NewSet(given...)
	if err != nil {
		t.Fatal(err)
	}
	given[0] = given[1]
	slices.Reverse(s.Objects())
	if got := s.Objects()[0].ID(); got != service {
		t.Errorf("the first object is %s now", got)
	}
}

func TestMapChangesCopies(t *testing.T) {
	s := set(t, exported, cartService)
	before := contents(s)
	changed, err := s.Map(func(u *unstructured.Unstructured) error {
		u.SetNamespace("prod")
		return unstructured.SetNestedField(u.Object, "x", "spec", "x")
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, contents(s)); diff != "" {
		t.Error("the set was changed:", diff)
	}
	if got := changed.Objects()[1]; got.ID().Namespace != "prod" || got.File != "deploy.yaml" {
		t.Errorf("got %s", got)
	}
}

func TestMapNamesTheObjectThatCouldNotBeChanged(t *testing.T) {
	cause := errors.New("no")
	_, err := set(t, cartService).Map(func(*unstructured.Unstructured) error { return cause })
	if !errors.Is(err, cause) || err.Error() != "Service/shop/cart (deploy.yaml): no" {
		t.Errorf("got %v", err)
	}
}

func TestMapRefusesObjectsThatBecomeTheSame(t *testing.T) {
	_, err := set(t, cartService, strings.Replace(cartService, "shop", "shop-2", 1)).Map(func(u *unstructured.Unstructured) error {
		u.SetNamespace("one")
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "Service/one/cart is defined twice") {
		t.Errorf("got %v", err)
	}
}

func TestOwnedByLabelsEveryObjectAndKeepsItsLabels(t *testing.T) {
	s := set(t, exported, cartService)
	before := contents(s)
	owned, err := s.OwnedBy("team", "shop")
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]string
	for _, o := range owned.Objects() {
		got = append(got, o.Unstructured().GetLabels())
	}
	want := []map[string]string{
		{"app": "cart", LabelSync: "shop", LabelNamespace: "team"},
		{LabelSync: "shop", LabelNamespace: "team"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, contents(s)); diff != "" {
		t.Error("the set was changed:", diff)
	}
}

func TestDigestIsIndependentOfOrderAndFiles(t *testing.T) {
	want := set(t, exported, cartService, cartConfig).Digest()
	if got := set(t, cartConfig, exported, cartService).Digest(); got != want {
		t.Error("another order gives another digest")
	}
	moved, err := NewSet(object(t, "x", cartConfig), object(t, "y", exported), object(t, "z", cartService))
	if err != nil {
		t.Fatal(err)
	}
	if got := moved.Digest(); got != want {
		t.Error("other files give another digest")
	}
}

// The digest is stored in releases and compared by later versions: it must not change from one to the next.
func TestDigestIsTheSumOfTheObjectsAsJSONInTheOrderOfTheirNames(t *testing.T) {
	const text = `{"apiVersion":"v1","data":{"html":"\u003ca\u0026b\u003e"},"kind":"ConfigMap","metadata":{"name":"cart","namespace":"shop"}}
{"apiVersion":"v1","kind":"Service","metadata":{"name":"cart","namespace":"shop"},"spec":{"ports":[{"port":80}]}}
`
	want := fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
	if got := set(t, cartService, cartConfig).Digest(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDigestTellsEveryDifference(t *testing.T) {
	base := set(t, exported, cartService)
	seen := map[string]string{base.Digest(): "base", set(t).Digest(): "nothing"}
	for name, other := range map[string]Set{
		"one less":            set(t, exported),
		"one more":            set(t, exported, cartService, cartConfig),
		"another number":      set(t, strings.Replace(exported, "replicas: 3", "replicas: 4", 1), cartService),
		"text for a number":   set(t, strings.Replace(exported, "replicas: 3", `replicas: "3"`, 1), cartService),
		"another name":        set(t, strings.Replace(exported, "name: cart", "name: cart2", 1), cartService),
		"another version":     set(t, strings.Replace(exported, "apps/v1", "apps/v1beta1", 1), cartService),
		"a field that is nil": set(t, strings.Replace(exported, "replicas: 3", "replicas: 3, paused: null", 1), cartService),
	} {
		digest := other.Digest()
		if same, twice := seen[digest]; twice {
			t.Errorf("%s has the digest of %s", name, same)
		}
		seen[digest] = name
	}
}

func TestASetSurvivesJSONWithItsIntegers(t *testing.T) {
	u := content(t, exported)
	u.Object["spec"] = map[string]any{
		"replicas": int64(3), "big": int64(math.MaxInt64), "small": int64(math.MinInt64),
		"half": 0.5, "huge": 1e21, "html": "<a&b>\u2028", "no": nil, "list": []any{int64(1), "1", true},
	}
	o, err := NewObject(u, "cart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSet(o, object(t, "b.yaml", cartService))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Set
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(contents(s), contents(back)); diff != "" {
		t.Error(diff)
	}
	if s.Digest() != back.Digest() {
		t.Error("the digest is another one")
	}
	if got := back.Objects()[0].File; got != "" {
		t.Errorf("the file %s came along", got)
	}
}

func TestAnEmptySetSurvivesJSON(t *testing.T) {
	text, err := json.Marshal(Set{})
	if err != nil || string(text) != "[]" {
		t.Fatalf("got %s, %v", text, err)
	}
	var back Set
	if err := json.Unmarshal(text, &back); err != nil || back.Len() != 0 {
		t.Errorf("got %v, %v", back, err)
	}
}

func TestJSONThatIsNoSetIsRefusedAndChangesNothing(t *testing.T) {
	for _, text := range []string{
		`{}`, `"x"`, `[1]`, `[{}]`, `[{"apiVersion":"v1","kind":"Service"}]`,
		`[{"apiVersion":"v1","kind":"Service","metadata":{"name":"../x"}}]`,
		`[{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"}},{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"}}]`,
	} {
		s := set(t, cartService)
		if err := json.Unmarshal([]byte(text), &s); err == nil {
			t.Errorf("%s was read", text)
		}
		if s.Len() != 1 {
			t.Errorf("%s: the set was changed", text)
		}
	}
}

// Sets share what they have in common, so that whatever changes one must not reach into another.
func TestWhatIsMadeOfASetLeavesItAsItIs(t *testing.T) {
	before := set(t,
		"{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: x, labels: {a: b}}, data: {old: eA==}, stringData: {new: text}}",
		"{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: b}, aggregationRule: {clusterRoleSelectors: []}, rules: [{verbs: [get]}]}",
		`{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: c, annotations: {d: e}}, spec: {template: {metadata: {annotations: {f: g}},
			spec: {containers: [{name: web, image: "nginx:1"}]}}}}`,
	)
	text := func(s Set) string {
		t.Helper()
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	want, digest := text(before), before.Digest()
	steps := map[string]func(Set) (Set, error){
		"EncodeSecrets":          Set.EncodeSecrets,
		"WithoutAggregatedRules": Set.WithoutAggregatedRules,
		"OwnedBy":                func(s Set) (Set, error) { return s.OwnedBy("shop", "cart") },
		"InNamespaces":           func(s Set) (Set, error) { return s.InNamespaces(func(ID) string { return "other" }) },
		"Pin":                    func(s Set) (Set, error) { return s.Pin(Pins{"nginx:1": "nginx@sha256:01"}, nil) },
		"StampTemplates":         Set.StampTemplates,
		"Unstructured": func(s Set) (Set, error) {
			for _, o := range s.Objects() {
				u := o.Unstructured()
				u.SetLabels(map[string]string{"mine": "now"})
				u.Object["kind"] = "Other"
			}
			return s.Map(func(u *unstructured.Unstructured) error { u.SetName("other-" + u.GetName()); return nil })
		},
	}
	for name, step := range steps {
		after, err := step(before)
		if err != nil {
			t.Fatal(err)
		}
		made := text(after)
		if made == want || after.Digest() == digest {
			t.Errorf("%s changes nothing", name)
		}
		for _, o := range after.Objects() {
			if named, err := NewObject(o.Unstructured(), ""); err != nil || named.ID() != o.ID() {
				t.Errorf("%s: %s is said to be %s", name, named.ID(), o.ID())
			}
			clear(o.Unstructured().Object["metadata"].(map[string]any))
		}
		for again, other := range steps { // what is made of the copy does not reach back either
			if _, err := other(after); err != nil {
				t.Fatal(err)
			}
			if text(after) != made {
				t.Errorf("%s changed what %s had made", again, name)
			}
		}
		if text(before) != want || setOf(before.objects).Digest() != digest {
			t.Errorf("%s changed the set that it was given", name)
		}
	}
}

func TestAStepThatChangesNothingAnswersTheSameSet(t *testing.T) {
	before := set(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}, data: {image: nginx:1}}")
	for name, step := range map[string]func(Set) (Set, error){
		"EncodeSecrets": Set.EncodeSecrets, "WithoutAggregatedRules": Set.WithoutAggregatedRules, "StampTemplates": Set.StampTemplates,
		"Pin": func(s Set) (Set, error) { return s.Pin(Pins{"nginx:1": "nginx@sha256:01"}, nil) },
	} {
		if after, err := step(before); err != nil || after.facts != before.facts {
			t.Errorf("%s made another set, %v", name, err)
		}
	}
}

func TestTwoObjectsDoNotComeToBeTheSameInOneNamespace(t *testing.T) {
	two := set(t,
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: one}}",
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: two}}")
	if _, err := two.InNamespaces(func(ID) string { return "shop" }); err == nil || !strings.Contains(err.Error(), "deploy.yaml") {
		t.Errorf("got %v", err)
	}
	bare, err := set(t, "{apiVersion: v1, kind: Namespace, metadata: {name: a, namespace: ''}}").InNamespaces(func(ID) string { return "" })
	if metadata := bare.Objects()[0].Unstructured().Object["metadata"]; err != nil || !reflect.DeepEqual(metadata, map[string]any{"name": "a"}) {
		t.Errorf("got %v, %v", metadata, err)
	}
}
