package registry

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
)

// mirrored asks first the mirror, then the server itself.
func mirrored(t *testing.T, mirror *server) Options {
	t.Helper()
	api, err := url.Parse("http://" + mirror.host + "/v2")
	if err != nil {
		t.Fatal(err)
	}
	return Options{Endpoints: func(string) ([]Endpoint, error) { return []Endpoint{{URL: api, Mirror: true}, {}}, nil }}
}

func TestSignaturesAreReadFromAMirror(t *testing.T) {
	for _, name := range []string{"classic-cosign", "bundle-cosign"} {
		mirror, server := serve(t), serve(t)
		mirror.keep(readSigning(t, name))
		query := Query{Image: server.host + "/cart@" + readSigning(t, name).digest}
		if err := server.resolver(t, mirrored(t, mirror)).Verify(t.Context(), query, readKeys(t, "cosign")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignaturesThatAMirrorHasNotAreReadFromTheRegistry(t *testing.T) {
	for _, name := range []string{"classic-cosign", "bundle-cosign"} {
		for what, trouble := range map[string]http.HandlerFunc{"nothing": nil, "trouble": status(http.StatusBadGateway, nil)} {
			mirror, server := serve(t), serve(t)
			if trouble != nil {
				mirror.on("*", trouble)
			}
			query := Query{Image: server.keep(readSigning(t, name))}
			if err := server.resolver(t, mirrored(t, mirror)).Verify(t.Context(), query, readKeys(t, "cosign")); err != nil {
				t.Errorf("%s, the mirror has %s: %v", name, what, err)
			}
		}
	}
}

// The mirror may have the signature.
func TestAMirrorInTroubleIsNotAMissingSignature(t *testing.T) {
	mirror, server := serve(t), serve(t)
	mirror.on("*", status(http.StatusBadGateway, nil))
	query := Query{Image: server.host + "/cart@" + server.push("cart:1")}
	err := server.resolver(t, mirrored(t, mirror)).Verify(t.Context(), query, readKeys(t, "cosign"))
	wantRefused(t, err, Unavailable, "looking for its signatures: ")
	if !firstError(t, err).Temporary {
		t.Error("the mirror may come back")
	}
	mirror.on("*", nil)
	err = server.resolver(t, mirrored(t, mirror)).Verify(t.Context(), query, readKeys(t, "cosign"))
	wantRefused(t, err, NotSigned)
}

func TestManyWhoWantTheSameShareOneSearch(t *testing.T) {
	server, signed := serve(t), readSigning(t, "classic-cosign")
	image := server.keep(signed)
	resolver, keys := server.resolver(t, Options{}), readKeys(t, "other", "cosign")
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if err := resolver.Verify(t.Context(), Query{Image: image}, keys); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	server.expect("GET /v2/", "GET "+cart+signed.tag+".sig", "GET /v2/cart/blobs/"+signed.payload(t))
}
