// FAULTS, Registry: credentials go only to the registry they belong to.

package registry

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
)

func TestCredentialsMatchAsTheKubeletMatchesThem(t *testing.T) {
	for _, test := range []struct {
		place string
		image string
		want  bool
	}{
		{"registry.example.com", "registry.example.com/cart", true},
		{"https://registry.example.com", "registry.example.com/cart", true},
		{"http://registry.example.com/", "registry.example.com/cart", true},
		{"https://registry.example.com/v1/", "registry.example.com/cart", true},
		{"https://registry.example.com/v2/", "registry.example.com/cart", true},
		{"https://registry.example.com/v2/shop", "registry.example.com/shop/cart", true},
		{"https://registry.example.com/v2/shop", "registry.example.com/cart", false},
		{"Registry.Example.com", "registry.example.com/cart", true},
		{"registry.example.com", "example.com/cart", false},
		{"registry.example.com", "registry.example.com.evil.com/cart", false},
		{"registry.example.com", "evil-registry.example.com/cart", false},
		{"registry.example.com:5000", "registry.example.com:5000/cart", true},
		{"registry.example.com", "registry.example.com:5000/cart", false},
		{"registry.example.com:5000", "registry.example.com/cart", false},
		{"registry.example.com/shop", "registry.example.com/shop/cart", true},
		{"registry.example.com/shop", "registry.example.com/shopping", true}, // as the kubelet does it
		{"registry.example.com/shop/", "registry.example.com/shopping", false},
		{"registry.example.com/shop", "registry.example.com/till", false},
		{"*.example.com", "registry.example.com/cart", true},
		{"*.example.com", "example.com/cart", false},
		{"*.example.com", "a.registry.example.com/cart", false},
		{"*.*.example.com", "a.registry.example.com/cart", true},
		{"reg*.example.com/shop", "registry.example.com/shop/cart", true},
		{"*.example.com:5000", "registry.example.com:5000/cart", true},
		{"*", "localhost/cart", true},
		{"docker.io", "nginx", true},
		{"index.docker.io", "acme/cart", true},
		{"registry-1.docker.io", "docker.io/acme/cart", true},
		{"https://index.docker.io/v1/", "nginx", true},
		{"https://index.docker.io/v1/", "index.docker.io/acme/cart", true},
		{"docker.io/library", "nginx", true},
		{"docker.io/acme", "nginx", false},
		{"docker.io", "registry.example.com/docker.io", false},
		{"127.0.0.1:5000", "127.0.0.1:5000/cart", true},
		{"[::1]:5000", "[::1]:5000/cart", true},
		{"[::1]:5000", "[::2]:5000/cart", false},
		{"registry.example.com:port", "registry.example.com/cart", false},
		{"[.example.com", "registry.example.com/cart", false},
		{"", "nginx", false},
	} {
		c, err := DockerConfig("x", fmt.Appendf(nil, `{"auths": {%q: {"username": "ana", "password": "pw"}}}`, test.place))
		if err != nil {
			t.Fatal(err)
		}
		ref, refusal := parse(test.image)
		if refusal != nil {
			t.Fatal(refusal)
		}
		repository := ref.Context()
		if got := len(c.lookup(repository.RegistryStr(), repository.RepositoryStr())) > 0; got != test.want {
			t.Errorf("%s for %s: got %t", test.place, test.image, got)
		}
	}
}

func TestTheExactHostAndTheLongestPathComeFirst(t *testing.T) {
	c, err := DockerConfig("x", []byte(`{"auths": {
		"*.example.com/shop/cart": {"username": "4", "password": "x"},
		"*.example.com": {"username": "5", "password": "x"},
		"registry.example.com": {"username": "3", "password": "x"},
		"https://registry.example.com/v2/shop": {"username": "2", "password": "x"},
		"registry.example.com/shop/cart": {"username": "1", "password": "x"},
		"registry.example.com/till": {"username": "6", "password": "x"}
	}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, config := range c.lookup("registry.example.com", "shop/cart") {
		got = append(got, config.Username)
	}
	if diff := cmp.Diff([]string{"1", "2", "3", "4", "5"}, got); diff != "" {
		t.Error("order (-want +got):\n" + diff)
	}
}

func TestADockerConfigIsRead(t *testing.T) {
	auth := base64.StdEncoding.EncodeToString([]byte("ana:p:w"))
	for text, want := range map[string][]authn.AuthConfig{
		`{"r.io": {"username": "ana", "password": "pw"}}`:                {{Username: "ana", Password: "pw"}},
		`{"r.io": {"auth": "` + auth + `"}}`:                             {{Username: "ana", Password: "p:w"}},
		`{"r.io": {"auth": "` + strings.TrimRight(auth, "=") + `"}}`:     {{Username: "ana", Password: "p:w"}},
		`{"r.io": {"identitytoken": "t", "email": "ana@example.com"}}`:   {{IdentityToken: "t"}},
		`{"r.io": {"registrytoken": "t"}}`:                               {{RegistryToken: "t"}},
		`{"r.io": {}}`:                                                   nil, // as desktop tools write it whose helper has them
		`{}`:                                                             nil,
		`{"r.io": {"username": "a", "password": "1"}, "other.io": null}`: {{Username: "a", Password: "1"}},
	} {
		for name, read := range map[string]func() (*Credentials, error){
			"config": func() (*Credentials, error) {
				return DockerConfig("x", []byte(`{"auths": `+text+`, "credsStore": "y"}`))
			},
			"dockercfg": func() (*Credentials, error) { return LegacyDockerConfig("x", []byte(text)) },
		} {
			c, err := read()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, c.lookup("r.io", "cart")); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", name, text, diff)
			}
		}
	}
}

func TestAMalformedDockerConfigIsNamedAndNotShown(t *testing.T) {
	for text, want := range map[string]string{
		`hunter2`:                                       `reading Secret shop/registry: it should be JSON like`,
		`{"auths": "hunter2"}`:                          `reading Secret shop/registry: it should be JSON like`,
		`{"auths": {"r.io": "hunter2"}}`:                `reading Secret shop/registry: the entry r.io should have`,
		`{"auths": {"r.io": {"password": 2}}}`:          `reading Secret shop/registry: the entry r.io should have`,
		`{"auths": {"r.io": {"auth": "hunter2!"}}}`:     `reading Secret shop/registry: the entry r.io has an auth that is not`,
		`{"auths": {"r.io": {"auth": "aHVudGVyMg=="}}}`: `reading Secret shop/registry: the entry r.io has an auth that is not`,
	} {
		_, err := DockerConfig("Secret shop/registry", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", text, err)
		}
	}
	if _, err := LegacyDockerConfig("Secret shop/old", []byte(`["hunter2"]`)); err == nil || !strings.HasPrefix(err.Error(), "reading Secret shop/old: it should be JSON like") {
		t.Errorf("got %v", err)
	}
}

func TestNoCredentialsAreFoundInNone(t *testing.T) {
	for _, none := range []*Credentials{nil, Unreadable("Secret shop/gone", "it is not there")} {
		if got := none.lookup("docker.io", "library/nginx"); got != nil {
			t.Errorf("got %v", got)
		}
	}
}
