package registry

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// users is a registry that knows some users, and keeps who came with a manifest request, in order.
func (s *server) users(known map[string]string) *[]string {
	var came []string
	s.on("*", func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if r.URL.Path != "/v2/" {
			s.mu.Lock()
			came = append(came, user)
			s.mu.Unlock()
		}
		if wanted, ok := known[user]; !ok || wanted != password {
			status(http.StatusUnauthorized, http.Header{"Www-Authenticate": {`Basic realm="x"`}})(w, r)
			return
		}
		s.registry.ServeHTTP(w, r)
	})
	return &came
}

// provider answers for all images alike, and keeps what it was asked for.
type provider struct {
	credentials *Credentials
	err         error
	asked       []string
}

func (p *provider) Credentials(_ context.Context, image string) (*Credentials, error) {
	p.asked = append(p.asked, image)
	return p.credentials, p.err
}

func source(name string, credentials []*Credentials) *Credentials {
	named := *credentials[0]
	named.Source = name
	return &named
}

func TestCredentialsAreTriedInOrderUntilOneIsNotRefused(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	image := server.host + "/cart:1"
	as := func(name, user, password string) *Credentials {
		return source(name, login(t, server.host, user, password))
	}
	pod1, pod2 := as("Secret shop/a", "a", "pw"), as("Secret shop/b", "b", "pw")
	agents := as("the agent's Docker config", "agent", "pw")
	made := as("the provider", "cloud", "pw")
	for name, test := range map[string]struct {
		good  string
		came  []string
		named string
		asked int // of the provider
	}{
		"the first":    {"a", []string{"a", "a"}, "Secret shop/a", 0},
		"the second":   {"b", []string{"a", "b", "b"}, "Secret shop/b", 0},
		"the agent's":  {"agent", []string{"a", "b", "agent", "agent"}, "the agent's Docker config", 0},
		"the provider": {"cloud", []string{"a", "b", "agent", "cloud", "cloud"}, "the provider", 1},
	} {
		came := server.users(map[string]string{test.good: "pw"})
		provider := &provider{credentials: made}
		resolver := server.resolver(t, Options{Credentials: []*Credentials{agents}, Provider: provider})
		got, err := resolver.Resolve(t.Context(), []Query{{image, []*Credentials{pod1, nil, pod2, pod1}}}, time.Now())
		if err != nil || got[image].Digest != digest || got[image].Source != test.named {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		if diff := cmp.Diff(test.came, *came); diff != "" {
			t.Errorf("%s: who came (-want +got):\n%s", name, diff)
		}
		if len(provider.asked) != test.asked || test.asked > 0 && provider.asked[0] != server.host+"/cart" {
			t.Errorf("%s: the provider was asked for %v", name, provider.asked)
		}
	}
}

// Two pods of one image may have different Secrets.
func TestAnImageThatIsAskedForTwiceHasTheCredentialsOfBoth(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	came := server.users(map[string]string{"b": "pw"})
	image := server.host + "/cart:1"
	queries := []Query{{image, login(t, server.host, "a", "pw")}, {image, login(t, server.host, "b", "pw")}}
	got, err := server.resolver(t, Options{}).Resolve(t.Context(), queries, time.Now())
	if err != nil || got[image].Digest != digest {
		t.Errorf("got %v, %v", got, err)
	}
	if diff := cmp.Diff([]string{"a", "b", "b"}, *came); diff != "" {
		t.Error("who came (-want +got):\n" + diff)
	}
}

func TestA403IsRefusedToo(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	server.on("HEAD "+cart+"1", func(w http.ResponseWriter, r *http.Request) {
		if user, _, _ := r.BasicAuth(); user != "b" {
			status(http.StatusForbidden, nil)(w, r)
			return
		}
		server.registry.ServeHTTP(w, r)
	})
	both := append(login(t, server.host, "a", "pw"), login(t, server.host, "b", "pw")...)
	if got := server.resolve(t, Options{Credentials: both}, "cart:1"); got[server.host+"/cart:1"] != digest {
		t.Errorf("got %v", got)
	}
	server.expect("GET /v2/", "HEAD "+cart+"1", "HEAD "+cart+"1", "GET "+cart+digest)
}

// A registry that lets anybody read is not read anonymously with credentials that it refuses.
func TestRefusedCredentialsAreToldAndNotLeftOut(t *testing.T) {
	server := serve(t)
	server.push("cart:1")
	came := server.users(map[string]string{"": ""})
	pod := source("Secret shop/registry", login(t, server.host, "ana", "hunter2"))
	agents := source("the agent's Docker config", login(t, server.host, "agent", "hunter2"))
	opts := Options{Credentials: []*Credentials{agents, Unreadable("Secret shop/gone", "it is not there")}}
	_, err := server.resolver(t, opts).Resolve(t.Context(), []Query{{server.host + "/cart:1", []*Credentials{pod}}}, time.Now())
	want := server.host + " refused the credentials of Secret shop/registry, the agent's Docker config; they must allow to pull it; " +
		"Secret shop/gone cannot be read: it is not there"
	if e := firstError(t, err); e.Reason != Unauthorized || e.Detail != want || strings.Contains(e.Error(), "hunter2") {
		t.Errorf("got %v, want %s", e, want)
	}
	if diff := cmp.Diff([]string{"ana", "agent"}, *came); diff != "" {
		t.Error("who came (-want +got):\n" + diff)
	}
}

func TestWhereNoneAreFoundTheSourcesAreTold(t *testing.T) {
	server := serve(t)
	came := server.users(map[string]string{"ana": "pw"})
	pod := source("Secret shop/registry", login(t, "other.example.com", "ana", "pw"))
	opts := Options{Credentials: []*Credentials{source("the agent's Docker config", login(t, "docker.io", "ana", "pw"))}, Provider: &provider{}}
	query := Query{server.host + "/cart:1", []*Credentials{pod, Unreadable("Secret shop/gone", "it is\nnot there")}}
	_, err := server.resolver(t, opts).Resolve(t.Context(), []Query{query, query}, time.Now()) // two pods with the same ones
	want := "no credentials for " + server.host + " were found, and without them it cannot be read; it may not exist; " +
		"looked at: Secret shop/registry, the agent's Docker config; Secret shop/gone cannot be read: it is not there"
	if e := firstError(t, err); e.Reason != Unauthorized || e.Detail != want {
		t.Errorf("got %v, want %s", e, want)
	}
	if diff := cmp.Diff([]string{""}, *came); diff != "" {
		t.Error("who came (-want +got):\n" + diff)
	}
}

// Who cannot say whether there are credentials does not say that there are none.
func TestAProviderThatFailsIsNotOneThatHasNone(t *testing.T) {
	server := serve(t)
	server.push("cart:1")
	opts := Options{Provider: &provider{err: errors.New("the plugin ecr ended with status 1")}}
	e := server.fail(t, opts, "cart:1")
	if e.Reason != Unauthorized || e.Detail != "the credential provider has failed: the plugin ecr ended with status 1" {
		t.Errorf("got %v", e)
	}
	server.expect()
}

func TestTheErrorOfTheFirstThatIsNotARefusalIsTold(t *testing.T) {
	server := serve(t)
	came := server.users(map[string]string{"a": "pw", "b": "pw"})
	both := append(login(t, server.host, "a", "pw"), login(t, server.host, "b", "pw")...)
	if e := server.fail(t, Options{Credentials: both}, "cart:1"); e.Reason != NotFound {
		t.Errorf("got %v", e)
	}
	if diff := cmp.Diff([]string{"a", "a"}, *came); diff != "" {
		t.Error("who came (-want +got):\n" + diff)
	}
}

func TestARegistryTokenIsShownAsItIs(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	server.wantToken("token")
	credentials, err := DockerConfig("x", []byte(`{"auths": {"`+server.host+`": {"registrytoken": "opaque"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := server.resolve(t, Options{Credentials: []*Credentials{credentials}}, "cart:1")
	if got[server.host+"/cart:1"] != digest {
		t.Errorf("got %v", got)
	}
	server.expect("GET /v2/", "HEAD "+cart+"1", "GET "+cart+digest)

	server.setToken("another")
	e := server.fail(t, Options{Credentials: []*Credentials{credentials}}, "cart:1")
	if e.Reason != Unauthorized || !strings.Contains(e.Detail, "refused the credentials of x") {
		t.Errorf("got %v", e)
	}
}

func TestAnIdentityTokenIsExchanged(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	server.wantToken("token")
	server.on("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("grant_type") != "refresh_token" || r.PostFormValue("refresh_token") != "hunter2" {
			status(http.StatusUnauthorized, nil)(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"access_token": "opaque", "expires_in": 300}`))
	})
	credentials, err := DockerConfig("x", []byte(`{"auths": {"`+server.host+`": {"identitytoken": "hunter2"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	got := server.resolve(t, Options{Credentials: []*Credentials{credentials}}, "cart:1")
	if got[server.host+"/cart:1"] != digest {
		t.Errorf("got %v", got)
	}
	server.expect("GET /v2/", "POST /token", "HEAD "+cart+"1", "GET "+cart+digest)
}

func TestAnIdentityTokenDoesNotFollowARedirect(t *testing.T) {
	target, server := serve(t), serve(t)
	server.wantToken("token")
	host := "localhost" + target.host[strings.LastIndex(target.host, ":"):] // package transport itself stops at addresses
	server.on("POST /token", redirect("http://"+host+"/token"))
	credentials, err := DockerConfig("x", []byte(`{"auths": {"`+server.host+`": {"identitytoken": "hunter2"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{Credentials: []*Credentials{credentials}, Insecure: []string{host}}
	if e := server.fail(t, opts, "cart:1"); e.Reason != Redirected || strings.Contains(e.Error(), "hunter2") {
		t.Errorf("got %v", e)
	}
	target.expect()
}

// The registry says where tokens are made, and credentials go there by HTTPS, or where an operator has declared the host.
func TestCredentialsGoToARealmOnlyWhereTheyAreSafe(t *testing.T) {
	for name, test := range map[string]struct {
		realm    func(host, port string) string
		declared bool
		want     Reason
	}{
		"plain":              {func(_, port string) string { return "http://localhost:" + port + "/token" }, false, AddressRefused},
		"plain and declared": {func(_, port string) string { return "http://localhost:" + port + "/token" }, true, ""},
		"inward":             {func(_, port string) string { return "https://localhost:" + port + "/token" }, false, AddressRefused},
		"metadata":           {func(string, string) string { return "https://169.254.169.254/token" }, false, Unavailable},
		"a file":             {func(string, string) string { return "file:///etc/passwd" }, false, Unavailable},
		"nowhere":            {func(string, string) string { return "" }, false, Unavailable},
		"with a user":        {func(host, _ string) string { return "http://ana:pw@" + host + "/token" }, true, Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			server, tokens := serve(t), serve(t)
			server.push("cart:1")
			server.wantToken("token")
			tokens.on("GET /token", func(w http.ResponseWriter, r *http.Request) {
				if _, password, _ := r.BasicAuth(); password == "pw" {
					_, _ = w.Write([]byte(`{"token": "opaque"}`))
				}
			})
			port := tokens.host[strings.LastIndex(tokens.host, ":")+1:]
			challenge := `Bearer realm="` + test.realm(tokens.host, port) + `",service="x"`
			server.on("GET /v2/", status(http.StatusUnauthorized, http.Header{"Www-Authenticate": {challenge}}))
			opts := Options{Credentials: login(t, server.host, "ana", "pw")}
			if test.declared {
				opts.Insecure = []string{"localhost:" + port, tokens.host}
			}
			_, err := server.resolver(t, opts).Resolve(t.Context(), ask(server.host+"/cart:1"), time.Now())
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				tokens.expect("GET /token")
				return
			}
			if e := firstError(t, err); e.Reason != test.want {
				t.Errorf("got %s: %v", e.Reason, e)
			}
			tokens.expect()
		})
	}
}

// The token server may be declared by its own name, as a registry is.
func TestARealmMayBeAnEndpoint(t *testing.T) {
	server, tokens := serve(t), serve(t)
	digest := server.push("cart:1")
	server.wantToken("token")
	tokens.on("GET /token", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"token": "opaque"}`)) })
	challenge := `Bearer realm="http://` + tokens.host + `/token",service="x"`
	server.on("GET /v2/", status(http.StatusUnauthorized, http.Header{"Www-Authenticate": {challenge}}))
	opts := Options{Endpoints: endpointsOf(tokens.host, Endpoint{URL: at(tokens, "/v2")})}
	if got := server.resolve(t, opts, "cart:1"); got[server.host+"/cart:1"] != digest {
		t.Errorf("got %v", got)
	}
	tokens.expect("GET /token")
}

// A registry that an image names could have tokens made for itself with what an operator declared for another host, and be
// shown them.
func TestWhatIsDeclaredForATokenServerIsForDeclaredRegistries(t *testing.T) {
	for declared, want := range map[bool]string{false: "", true: "hunter2"} {
		server, tokens := serve(t), serve(t)
		server.push("cart:1")
		server.wantToken("token")
		var shown []string
		tokens.on("GET /token", func(w http.ResponseWriter, r *http.Request) {
			shown = append(shown, r.Header.Get("X-Key"))
			_, _ = w.Write([]byte(`{"token": "opaque"}`))
		})
		challenge := `Bearer realm="http://` + tokens.host + `/token",service="x"`
		server.on("GET /v2/", status(http.StatusUnauthorized, http.Header{"Www-Authenticate": {challenge}}))
		opts := Options{Endpoints: func(host string) ([]Endpoint, error) {
			switch {
			case host == tokens.host:
				return []Endpoint{{URL: at(tokens, "/v2"), Header: http.Header{"X-Key": {"hunter2"}}}}, nil
			case declared:
				return []Endpoint{{URL: at(server, "/v2")}}, nil
			}
			return nil, nil
		}, Insecure: []string{server.host}}
		if _, err := server.resolver(t, opts).Resolve(t.Context(), ask(server.host+"/cart:1"), time.Now()); err != nil {
			t.Error(err)
		}
		if len(shown) != 1 || shown[0] != want {
			t.Errorf("declared %t: the token server was shown %q", declared, shown)
		}
	}
}
