package cluster

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
)

// pullSecret is a Secret of namespace shop, of Docker's present format.
func pullSecret(name, config string) string {
	return fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {namespace: shop, name: %s}, type: kubernetes.io/dockerconfigjson,
		data: {.dockerconfigjson: %s}}`, name, base64.StdEncoding.EncodeToString([]byte(config)))
}

// account is a ServiceAccount of namespace shop with pull Secrets.
func account(name string, secrets ...string) string {
	var list []string
	for _, secret := range secrets {
		list = append(list, "{name: "+secret+"}")
	}
	return fmt.Sprintf(`{apiVersion: v1, kind: ServiceAccount, metadata: {namespace: shop, name: %s}, imagePullSecrets: [%s]}`, name, strings.Join(list, ", "))
}

// kept is an object that belay is told to keep its hands off.
func kept(ssa, text string) string {
	return strings.Replace(text, "metadata: {", `metadata: {annotations: {belay.dev/ssa: `+ssa+`}, `, 1)
}

// imageIn is an image of a pod in namespace shop.
func imageIn(t *testing.T, account string, secrets ...string) manifests.Image {
	t.Helper()
	pod := object(t, `{apiVersion: v1, kind: Pod, metadata: {namespace: shop, name: cart}}`)
	return manifests.Image{Object: pod, Container: "cart", Image: "cart:1", PullSecrets: secrets, ServiceAccount: account}
}

func object(t *testing.T, text string) manifests.Object {
	t.Helper()
	o, err := manifests.NewObject(live(t, text), "x.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func setOf(t *testing.T, texts ...string) manifests.Set {
	t.Helper()
	var contents []map[string]any
	for _, text := range texts {
		contents = append(contents, live(t, text).Object)
	}
	return set(t, contents...)
}

func TestPullSecretsAreThosePodsWouldUse(t *testing.T) {
	config := func(source, config string) PullSecret {
		return PullSecret{Source: "Secret shop/" + source, Config: []byte(config)}
	}
	problem := func(source, problem string) PullSecret { return PullSecret{Source: source, Problem: problem} }
	const notThere = "it is not there"
	for _, test := range []struct {
		name     string
		image    manifests.Image
		there    []string
		own      []string
		refusals map[string]int
		want     []PullSecret
	}{
		{name: "the pod's, then its account's", image: imageIn(t, "robot", "b", "a"),
			there: []string{pullSecret("a", "A"), pullSecret("b", "B"), pullSecret("c", "C"), account("robot", "c", "a")},
			want:  []PullSecret{config("b", "B"), config("a", "A"), config("c", "C")}},
		{name: "those of the account default", image: imageIn(t, ""),
			there: []string{pullSecret("a", "A"), account("default", "a")}, want: []PullSecret{config("a", "A")}},
		{name: "none, where even that is not there yet", image: imageIn(t, "")},
		{name: "those of the commit before those of the cluster", image: imageIn(t, "robot", "a"),
			there: []string{pullSecret("a", "old"), account("robot", "old")},
			own:   []string{pullSecret("a", "new"), pullSecret("b", "B"), account("robot", "b")},
			want:  []PullSecret{config("a", "new"), config("b", "B")}},
		{name: "those of the cluster before those of the commit, where these are for a start only", image: imageIn(t, "robot", "a"),
			there: []string{pullSecret("a", "filled in"), account("robot", "a")},
			own:   []string{kept("IfNotPresent", pullSecret("a", "placeholder")), pullSecret("b", "B"), kept("IfNotPresent", account("robot", "b"))},
			want:  []PullSecret{config("a", "filled in")}},
		{name: "or are not applied at all", image: imageIn(t, "", "a"), there: []string{pullSecret("a", "filled in")},
			own: []string{kept("Ignore", pullSecret("a", "placeholder"))}, want: []PullSecret{config("a", "filled in")}},
		{name: "those of the commit for a start, where the cluster has none", image: imageIn(t, "robot"),
			own:  []string{kept("IfNotPresent", pullSecret("a", "first")), kept("IfNotPresent", account("robot", "a"))},
			want: []PullSecret{config("a", "first")}},
		{name: "what is not applied is not there", image: imageIn(t, "", "a"),
			own: []string{kept("Ignore", pullSecret("a", "placeholder"))}, want: []PullSecret{problem("Secret shop/a", notThere)}},
		{name: "what an account has in the cluster, where the commit says nothing of it", image: imageIn(t, "robot"),
			there: []string{pullSecret("a", "A"), account("robot", "a")}, own: []string{account("robot")}, want: []PullSecret{config("a", "A")}},
		{name: "none of an account that comes", image: imageIn(t, "robot"), own: []string{account("robot")}},
		{name: "of the old format", image: imageIn(t, "", "old"),
			there: []string{`{apiVersion: v1, kind: Secret, metadata: {namespace: shop, name: old}, type: kubernetes.io/dockercfg, data: {.dockercfg: e30=}}`},
			want:  []PullSecret{{Source: "Secret shop/old", Config: []byte("{}"), Legacy: true}}},
		{name: "a name that nobody bears", image: imageIn(t, "robot", "a"), there: []string{account("robot")}, want: []PullSecret{problem("Secret shop/a", notThere)}},
		{name: "an account that is not there", image: imageIn(t, "robot", "a"), there: []string{pullSecret("a", "A")},
			want: []PullSecret{config("a", "A"), problem("ServiceAccount shop/robot", notThere)}},
		{name: "names that no object can have", image: imageIn(t, "x/y", "..", "a"), there: []string{pullSecret("a", "A")},
			want: []PullSecret{problem("Secret shop/..", "no object can have that name"), config("a", "A"),
				problem("ServiceAccount shop/x/y", "no object can have that name")}},
		{name: "a Secret of another type", image: imageIn(t, "", "tls"),
			there: []string{`{apiVersion: v1, kind: Secret, metadata: {namespace: shop, name: tls}, data: {.dockerconfigjson: e30=}}`},
			want: []PullSecret{problem("Secret shop/tls",
				`its type is "Opaque", and nodes use only kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg`)}},
		{name: "a Secret without the key", image: imageIn(t, "", "a"),
			there: []string{`{apiVersion: v1, kind: Secret, metadata: {namespace: shop, name: a}, type: kubernetes.io/dockerconfigjson, data: {config.json: e30=}}`},
			want:  []PullSecret{problem("Secret shop/a", "it has no key .dockerconfigjson")}},
		{name: "a Secret that is not base64", image: imageIn(t, "", "a"),
			own:  []string{`{apiVersion: v1, kind: Secret, metadata: {namespace: shop, name: a}, type: kubernetes.io/dockerconfigjson, data: {.dockerconfigjson: "hunter2!"}}`},
			want: []PullSecret{problem("Secret shop/a", "its key .dockerconfigjson is not base64")}},
		{name: "what may not be read", image: imageIn(t, "robot", "a"),
			refusals: map[string]int{"/api/v1/namespaces/shop/secrets/a": http.StatusForbidden, "/api/v1/namespaces/shop/serviceaccounts/robot": http.StatusForbidden},
			want: []PullSecret{
				problem("Secret shop/a", `it may not be read; add to a Role of shop: {apiGroups: [""], resources: [secrets], verbs: [get]}`),
				problem("ServiceAccount shop/robot", `it may not be read; add to a Role of shop: {apiGroups: [""], resources: [serviceaccounts], verbs: [get]}`),
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, api := reading(t, test.there...)
			api.refusals = test.refusals
			got, err := c.PullSecrets(t.Context(), []manifests.Image{test.image}, setOf(t, test.own...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([][]PullSecret{test.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEachPullSecretIsReadOnce(t *testing.T) {
	c, api := reading(t, pullSecret("a", "A"), pullSecret("b", "B"), account("default", "a"), account("robot", "a"))
	images := []manifests.Image{imageIn(t, "", "b"), imageIn(t, "robot"), imageIn(t, "", "b"), imageIn(t, "robot", "a", "b"), imageIn(t, "")}
	got, err := c.PullSecrets(t.Context(), images, manifests.Set{})
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, list := range got {
		names := ""
		for _, secret := range list {
			names += string(secret.Config)
		}
		sources = append(sources, names)
	}
	if want := []string{"BA", "A", "BA", "AB", "A"}; !slices.Equal(want, sources) {
		t.Errorf("got %v", sources)
	}
	if asked := api.requests(); len(asked) != 4 {
		t.Errorf("asked for %v", asked)
	}
}

func TestAnAPIServerInTroubleIsNoMissingPullSecret(t *testing.T) {
	for _, path := range []string{"/api/v1/namespaces/shop/secrets/a", "/api/v1/namespaces/shop/serviceaccounts/default"} {
		c, api := reading(t, pullSecret("a", "A"), account("default"))
		api.refusals[path] = http.StatusInternalServerError
		_, err := c.PullSecrets(t.Context(), []manifests.Image{imageIn(t, "", "a")}, manifests.Set{})
		var e *Error
		if !errors.As(err, &e) || !e.Temporary {
			t.Errorf("%s: %v", path, err)
		}
		if strings.Contains(fmt.Sprint(err), "hunter2") && strings.Contains(path, "secrets") {
			t.Errorf("%s: the server's words are told: %v", path, err)
		}
	}
}

func TestWhatLivesInNoNamespaceHasNoPullSecrets(t *testing.T) {
	c, api := reading(t)
	image := manifests.Image{Object: object(t, `{apiVersion: x.io/v1, kind: Everywhere, metadata: {name: x}}`), Image: "cart:1", PullSecrets: []string{"a"}}
	got, err := c.PullSecrets(t.Context(), []manifests.Image{image}, manifests.Set{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got[0]) != 1 || got[0][0].Problem != "the object that names it is in no namespace" {
		t.Errorf("got %+v", got)
	}
	if asked := api.requests(); len(asked) > 0 {
		t.Errorf("asked for %v", asked)
	}
}
