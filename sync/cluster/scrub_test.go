// FAULTS, Health: a log line that holds a secret.

package cluster

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestNothingSecretIsLeftOfALine(t *testing.T) {
	for _, test := range []struct {
		name, line string
		values     []string
		want       string
	}{
		{"an ordinary line", "listen tcp :8080: bind: address already in use", nil, "listen tcp :8080: bind: address already in use"},
		{"a stack trace", `  File "/usr/local/lib/python3.11/site-packages/flask/app.py", line 2525, in wsgi_app`, nil, `File "/usr/local/lib/python3.11/site-packages/flask/app.py", line 2525, in wsgi_app`},
		{"a Go panic", "main.main() /go/src/github.com/acme/cart/main.go:17 +0x18", nil, "main.main() /go/src/github.com/acme/cart/main.go:17 +0x18"},
		{"a Java class", "Caused by: org.springframework.beans.factory.BeanCreationException: no bean", nil, "Caused by: org.springframework.beans.factory.BeanCreationException: no bean"},
		{"a known value", "cannot log in with hunter2 there", []string{"hunter2"}, "cannot log in with *** there"},
		{"a known value within a word", "x-hunter2y", []string{"hunter2"}, "x-***y"},
		{"a short value where it stands alone", "pin ab1 is not tab1e", []string{"ab1"}, "pin *** is not tab1e"},
		{"a short value of signs", "got $%^ there", []string{"$%^"}, "got *** there"},
		{"a password in a URL", "dial postgres://app:s3cr3t@db:5432/shop failed", nil, "dial postgres://***@db:5432/shop failed"},
		{"a user in a URL", "GET https://ghp_abc@git.example.org/x", nil, "GET https://***@git.example.org/x"},
		{"a bearer token", "Authorization: Bearer abc.def-ghi", nil, "Authorization: *** ***"},
		{"a bearer token by itself", "sent Bearer abcdefgh, refused", nil, "sent Bearer ***, refused"},
		{"basic authentication", "curl -H 'basic YWxhZGRpbjpvcGVu'", nil, "curl -H 'basic ***'"},
		{"a JWT", "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP here", nil, "got *** here"},
		{"a key in PEM", "key -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- bad", nil, "key *** bad"},
		{"the beginning of a key in PEM", "-----BEGIN RSA PRIVATE KEY-----MIIEvQ", nil, "***"},
		{"a run of hexadecimal digits", "got 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b", nil, "got ***"},
		{"a run of base64", "got wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", nil, "got ***"},
		{"an assignment", "starting with DB_PASSWORD=abc and LEVEL=info", nil, "starting with DB_PASSWORD=*** and LEVEL=info"},
		{"an assignment with quotes", `config: password: "a b c", level: info`, nil, `config: password: ***, level: info`},
		{"JSON", `{"level":"fatal","apiKey":"abc","msg":"no"}`, nil, `{"level":"fatal","apiKey":***,"msg":"no"}`},
		{"JSON in a string", `"{\"token\":\"abc\",\"a\":1}"`, nil, `"{\"token\":***,\"a\":1}"`},
		{"a query", "GET /x?access_token=abc&page=2", nil, "GET /x?access_token=***&page=2"},
		{"a quote in a quoted value", `password: "hun\"ter2", level: info`, nil, `password: ***, level: info`},
		{"a quote that nothing ends", `password="hunter2 and more`, nil, `password=***`},
		{"a Python literal", `{'password': b'hunter2', 'level': u'info'}`, nil, `{'password': ***, 'level': u'info'}`},
		{"single quotes in a string", `'{\'password\': \'hunter2\'}'`, nil, `'{\'password\': ***}'`},
		{"JSON in a string in a string", `{\\\"token\\\":\\\"abc\\\",\\\"a\\\":1}`, nil, `{\\\"token\\\":***,\\\"a\\\":1}`},
		{"an encoded query", "GET /login?next=%2Fx%3Faccess_token%3Dabc%26page%3D2", nil, "GET /login?next=%2Fx%3Faccess_token%3D***"},
		{"XML", "<auth><password>hunter2</password></auth>", nil, "<auth><password>***</password></auth>"},
		{"SQL", "ALTER USER app WITH PASSWORD 'hun ter2' VALID", nil, "ALTER USER app WITH PASSWORD *** VALID"},
		{"a password in a URL that is not encoded", `parse "postgres://app:s3#cr/3t@db:5432/shop": invalid port`, nil, `parse "postgres://***@db:5432/shop": invalid port`},
		{"an image with a digest", "pull oci://r.example.org:5000/a/b@sha256:12 failed", nil, "pull oci://r.example.org:5000/a/b@sha256:12 failed"},
		{"an option", "running app --db-password hunter2 --level info", nil, "running app --db-password *** --level info"},
		{"colours and control characters", "\x1b[31mfatal\x1b[0m:\tno\x00t\u202e today\r", nil, "fatal: no t today"},
		{"colours in a value", "hun\x1b[1mter2", []string{"hunter2"}, "***"},
		{"invalid UTF-8", "a\xffb", nil, "ab"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := scrub(test.line, test.values); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
	t.Run("a long line is cut after it is scrubbed", func(t *testing.T) {
		got := scrub(strings.Repeat("ä ", 97)+" hunter2hunter2", []string{"hunter2hunter2"})
		if utf8.RuneCountInString(got) > longestLine || strings.Contains(got, "hun") {
			t.Errorf("got %d runes: %q", utf8.RuneCountInString(got), got)
		}
	})
}

func TestASecretIsFoundInWhateverFormItIsPrinted(t *testing.T) {
	values := tidy(slices.Concat(
		formsOf("p@ss word/1\n"),
		formsOf("user: admin\npassword: zwölf&drei\n"),
		formsOf(`{"auths":{"r.example.org":{"auth":"dTpwdzEyMw"}}}`),
	))
	for _, line := range []string{
		"p@ss word/1", "p%40ss%20word%2F1", "p%40ss+word%2F1", "cEBzcyB3b3JkLzE=", "is zwölf&drei!", `zwölf\u0026drei`, "dTpwdzEyMw",
	} {
		if got := scrubValues(line, values); !strings.Contains(got, masked) || strings.Contains(got, "drei") || strings.Contains(got, "word") {
			t.Errorf("%q: got %q", line, got)
		}
	}
}

func TestWhatIsSecretInAPodIsFoundEverywhere(t *testing.T) {
	p := &corev1.Pod{}
	if err := fromMap(live(t, `{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {
		imagePullSecrets: [{name: pull}],
		initContainers: [{name: i, envFrom: [{secretRef: {name: from}}, {configMapRef: {name: plain}}]}],
		containers: [{name: c, args: [--token, abcdefgh, "--api-key=ijklmnop", --level=info], env: [
			{name: A, valueFrom: {secretKeyRef: {name: env, key: k}}}, {name: DB_PASSWORD, value: literal1}, {name: LEVEL, value: visible},
			{name: DATABASE_URL, value: "postgres://u:inurl99@db/x"}, {name: BROKER, value: "amqp://u:in#url/77@mq/x"}]}],
		volumes: [{name: v, secret: {secretName: volume}}, {name: p, projected: {sources: [{secret: {name: projected}}, {configMap: {name: plain}}]}}]}}`).Object, p); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"pull": true, "from": false, "env": false, "volume": false, "projected": false}
	if diff := cmp.Diff(want, secretsOf(p)); diff != "" {
		t.Error(diff)
	}
	got := literals(p)
	for value, want := range map[string]bool{"literal1": true, "inurl99": true, "in#url/77": true, "abcdefgh": true, "ijklmnop": true, "visible": false, "info": false} {
		if slices.Contains(got, value) != want {
			t.Errorf("%s: got %t, in %q", value, !want, got)
		}
	}
}
