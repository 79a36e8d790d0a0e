package registry

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestADigestThatIsGoneIsMissing(t *testing.T) {
	server := serve(t)
	there := server.push("cart:1")
	kept, gone := server.host+"/cart@"+there, server.host+"/cart@"+someDigest
	got, err := server.resolver(t, Options{}).Missing(t.Context(), ask(gone, kept, server.host+"/cart:1@"+there, gone), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{gone}, got); diff != "" {
		t.Error("missing (-want +got):\n" + diff)
	}
	server.expect("GET /v2/", "HEAD "+cart+there, "HEAD "+cart+someDigest)
}

func TestWhereHeadIsRefusedADigestIsFetched(t *testing.T) {
	server := serve(t)
	there := server.push("cart:1")
	server.on("HEAD "+cart+there, status(http.StatusMethodNotAllowed, nil))
	server.on("HEAD "+cart+someDigest, status(http.StatusMethodNotAllowed, nil))
	gone := server.host + "/cart@" + someDigest
	got, err := server.resolver(t, Options{}).Missing(t.Context(), ask(gone, server.host+"/cart@"+there), time.Now())
	if err != nil || len(got) != 1 || got[0] != gone {
		t.Errorf("got %v, %v", got, err)
	}
	server.expect("GET /v2/", "HEAD "+cart+there, "GET "+cart+there, "HEAD "+cart+someDigest, "GET "+cart+someDigest)
}

func TestADigestIsMissingWhereEachEndpointSaysSo(t *testing.T) {
	image := "r.io/cart@" + someDigest
	for name, test := range map[string]struct {
		mirror, origin int
		missing        bool
		reason         Reason
	}{
		"both":           {404, 404, true, ""},
		"the origin has": {404, 200, false, ""},
		"a mirror has":   {200, 404, false, ""},
		"a mirror fails": {502, 404, false, Unavailable},
		"origin fails":   {404, 502, false, Unavailable},
		"refused":        {404, 401, false, Unauthorized},
	} {
		mirror, origin := serve(t), serve(t)
		mirror.on("HEAD "+cart+someDigest, status(test.mirror, nil))
		origin.on("HEAD "+cart+someDigest, status(test.origin, nil))
		resolver := resolverOf(t, Options{Endpoints: endpointsOf("r.io", Endpoint{URL: at(mirror, "/v2"), Mirror: true}, Endpoint{URL: at(origin, "/v2")})})
		got, err := resolver.Missing(t.Context(), ask(image), time.Now())
		if (len(got) == 1) != test.missing {
			t.Errorf("%s: got %v", name, got)
		}
		var e *Error
		if errors.As(err, &e); test.reason == "" && err != nil || test.reason != "" && (e == nil || e.Reason != test.reason) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestMissingAnswersBesideErrors(t *testing.T) {
	server := serve(t)
	server.on("HEAD /v2/till/manifests/"+someDigest, status(http.StatusBadGateway, nil))
	gone := server.host + "/cart@" + someDigest
	got, err := server.resolver(t, Options{}).Missing(t.Context(), ask(gone, server.host+"/till@"+someDigest, server.host+"/cart:1"), time.Now())
	if diff := cmp.Diff([]string{gone}, got); diff != "" {
		t.Error("missing (-want +got):\n" + diff)
	}
	var reasons []Reason
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		reasons = append(reasons, err.(*Error).Reason)
	}
	if diff := cmp.Diff([]Reason{InvalidReference, Unavailable}, reasons); diff != "" {
		t.Error("reasons (-want +got):\n" + diff)
	}
}

func TestWhatWasResolvedIsAnsweredBesideErrors(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	image := server.host + "/cart:1"
	got, err := server.resolver(t, Options{}).Resolve(t.Context(), ask(image, server.host+"/cart:2"), time.Now())
	if diff := cmp.Diff(map[string]string{image: digest}, digests(got)); diff != "" {
		t.Error("digests (-want +got):\n" + diff)
	}
	if e := firstError(t, err); e.Reason != NotFound || e.Image != server.host+"/cart:2" {
		t.Errorf("got %v", e)
	}
}

func TestADigestIsNotLookedForByEachOfAThousand(t *testing.T) {
	server := serve(t)
	there := server.push("cart:1")
	clock := newClock()
	resolver := server.resolverAt(t, Options{}, clock.now)
	gone := server.host + "/cart@" + someDigest
	queries := ask(gone, server.host+"/cart@"+there)
	look := func(since time.Time) {
		t.Helper()
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				if got, err := resolver.Missing(t.Context(), queries, since); err != nil || len(got) != 1 || got[0] != gone {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		all.Wait()
	}
	look(clock.now())
	server.expect("GET /v2/", "HEAD "+cart+there, "HEAD "+cart+someDigest)

	clock.Time = clock.Add(time.Minute)
	look(newClock().now())
	server.expect("GET /v2/", "HEAD "+cart+there, "HEAD "+cart+someDigest)

	server.forget()
	look(clock.now())
	server.expect("HEAD "+cart+there, "HEAD "+cart+someDigest)
}

// A thousand Syncs with the same fifty images look at different times of one interval, with the Secrets of many namespaces.
func TestAThousandCallersLookForFiftyDigestsOnce(t *testing.T) {
	const callers, images = 1000, 50
	server := serve(t)
	clock := newClock()
	resolver := server.resolverAt(t, Options{Timeout: time.Hour}, clock.now) // a busy machine is not a slow registry
	var refs, want, heads []string
	for i := range images {
		repository := fmt.Sprintf("app%d", i)
		digest := someDigest
		if i%2 == 0 {
			digest = server.push(repository + ":1")
		} else {
			want = append(want, server.host+"/"+repository+"@"+digest)
		}
		refs = append(refs, server.host+"/"+repository+"@"+digest)
		heads = append(heads, "HEAD /v2/"+repository+"/manifests/"+digest)
	}
	slices.Sort(want)
	server.protect("ana", "pw")
	look := func(since time.Time, credentials ...*Credentials) {
		t.Helper()
		var queries []Query
		for _, ref := range refs {
			queries = append(queries, Query{ref, credentials})
		}
		got, err := resolver.Missing(t.Context(), queries, since)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v", got, err)
		}
	}
	server.forget()
	start := clock.now()
	all := append(login(t, server.host, "ana", "pw"), login(t, server.host, "bob", "pw")...)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			look(start, all[:1+i%2]...)
		})
	}
	group.Wait()
	server.expect(append(slices.Clone(heads), "GET /v2/")...)

	server.forget()
	clock.Time = clock.Add(30 * time.Minute)
	look(start, all[0])
	server.expect()
	look(clock.now(), all[0])
	look(clock.now().Add(time.Hour), all[0]) // a time to come means now
	server.expect(heads...)
}

func TestWhatIsMissingIsForItsAccountOnly(t *testing.T) {
	server := serve(t)
	server.protect("ana", "pw")
	resolver := server.resolver(t, Options{})
	gone := server.host + "/cart@" + someDigest
	since := time.Now()
	if got, err := resolver.Missing(t.Context(), []Query{{gone, login(t, server.host, "ana", "pw")}}, since); err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	for _, credentials := range [][]*Credentials{nil, login(t, server.host, "bob", "pw"), login(t, "other.io", "ana", "pw")} {
		got, err := resolver.Missing(t.Context(), []Query{{gone, credentials}}, since)
		if e := firstError(t, err); e.Reason != Unauthorized || len(got) != 0 {
			t.Errorf("got %v, %v", got, err)
		}
	}
}

func TestADigestThatIsPushedAgainIsNoticedByWhoWantsItNow(t *testing.T) {
	server := serve(t)
	digest := server.push("cart:1")
	clock := newClock()
	resolver := server.resolverAt(t, Options{}, clock.now)
	image := server.host + "/cart@" + digest
	start := clock.now()
	server.on("HEAD "+cart+digest, status(http.StatusNotFound, nil))
	for _, step := range []struct {
		since   time.Duration
		missing int
	}{{0, 1}, {0, 1}, {time.Minute, 0}, {0, 0}} {
		got, err := resolver.Missing(t.Context(), ask(image), start.Add(step.since))
		if err != nil || len(got) != step.missing {
			t.Errorf("since %v: got %v, %v", step.since, got, err)
		}
		clock.Time = clock.Add(time.Minute)
		server.on("HEAD "+cart+digest, nil)
	}
	server.expect("GET /v2/", "HEAD "+cart+digest, "HEAD "+cart+digest)
}

func TestAnErrorOfALookIsNotTakenAgain(t *testing.T) {
	server := serve(t)
	head := "HEAD " + cart + someDigest
	for _, code := range []int{http.StatusBadGateway, http.StatusForbidden} {
		resolver := server.resolver(t, Options{})
		since := time.Now()
		server.forget()
		server.on(head, status(code, nil))
		if got, err := resolver.Missing(t.Context(), ask(server.host+"/cart@"+someDigest), since); err == nil || len(got) != 0 {
			t.Errorf("%d: got %v, %v", code, got, err)
		}
		server.on(head, nil)
		if got, err := resolver.Missing(t.Context(), ask(server.host+"/cart@"+someDigest), since); err != nil || len(got) != 1 {
			t.Errorf("%d: got %v, %v", code, got, err)
		}
		server.expect("GET /v2/", head, head)
	}
}

// The answer is as old as the oldest that it is made of.
func TestAMissingDigestIsAsOldAsWhatTheFirstRegistrySaid(t *testing.T) {
	mirror, origin := serve(t), serve(t)
	clock := newClock()
	resolver, err := newResolver(Options{Insecure: []string{origin.host}, Endpoints: func(host string) ([]Endpoint, error) {
		if host == origin.host {
			return nil, nil
		}
		return []Endpoint{{URL: at(mirror, "/v2"), Mirror: true}, {URL: at(origin, "/v2")}}, nil
	}}, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	origin.on("HEAD "+cart+someDigest, func(w http.ResponseWriter, _ *http.Request) {
		clock.Time = clock.Add(time.Minute)
		w.WriteHeader(http.StatusNotFound)
	})
	start := clock.now()
	for _, since := range []time.Duration{0, time.Second} {
		if got, err := resolver.Missing(t.Context(), ask("r.io/cart@"+someDigest), start.Add(since)); err != nil || len(got) != 1 {
			t.Errorf("got %v, %v", got, err)
		}
	}
	head := "HEAD " + cart + someDigest
	mirror.expect("GET /v2/", head, head)
	origin.expect("GET /v2/", head, head)
}
