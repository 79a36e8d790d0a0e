package registry

import (
	"errors"
	"net/http"
	"testing"
)

func TestABlobIsComparedWithItsDigest(t *testing.T) {
	server := serve(t)
	text := []byte("a small blob")
	digest := digestOf(text)
	for name, test := range map[string]struct {
		body []byte
		want Reason
	}{
		"right": {text, ""},
		"wrong": {[]byte("another"), DigestMismatch},
		"long":  {make([]byte, maxBody+1), TooLarge},
	} {
		server.on("GET /v2/cart/blobs/"+digest, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(test.body) })
		questions, err := parseQueries(ask(server.host + "/cart@" + digest))
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		resolver := server.resolver(t, Options{})
		_, err = resolver.newPass(t.Context()).visit(t.Context(), questions[0], func(s *session) (err error) {
			got, err = s.blob(t.Context(), digest)
			return err
		})
		var e *Error
		if errors.As(err, &e); test.want == "" && (err != nil || string(got) != string(text)) || test.want != "" && (e == nil || e.Reason != test.want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}
