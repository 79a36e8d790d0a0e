package cluster

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// secretsOf names the Secrets that a pod refers to. The value tells those that only the kubelet reads: a pod runs without
// them, and never has their values.
func secretsOf(pod *corev1.Pod) map[string]bool {
	names := map[string]bool{}
	for _, ref := range pod.Spec.ImagePullSecrets {
		names[ref.Name] = true
	}
	seen := func(name string) { names[name] = false }
	eachContainer(pod, func(env []corev1.EnvVar, from []corev1.EnvFromSource, _ []string) {
		for _, e := range env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				seen(e.ValueFrom.SecretKeyRef.Name)
			}
		}
		for _, f := range from {
			if f.SecretRef != nil {
				seen(f.SecretRef.Name)
			}
		}
	})
	for _, volume := range pod.Spec.Volumes {
		if volume.Secret != nil {
			seen(volume.Secret.SecretName)
		}
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if source.Secret != nil {
				seen(source.Secret.Name)
			}
		}
	}
	delete(names, "")
	return names
}

func eachContainer(pod *corev1.Pod, do func(env []corev1.EnvVar, from []corev1.EnvFromSource, words []string)) {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for _, c := range list {
			do(c.Env, c.EnvFrom, append(append([]string(nil), c.Command...), c.Args...))
		}
	}
	for _, c := range pod.Spec.EphemeralContainers {
		do(c.Env, c.EnvFrom, append(append([]string(nil), c.Command...), c.Args...))
	}
}

// literals are the values that look secret in a pod's own spec.
func literals(pod *corev1.Pod) (values []string) {
	eachContainer(pod, func(env []corev1.EnvVar, _ []corev1.EnvFromSource, words []string) {
		for _, e := range env {
			if secretName.MatchString(e.Name) {
				values = append(values, formsOf(e.Value)...)
			}
			values = append(values, passwordsIn(e.Value)...)
		}
		line := strings.Join(words, " ")
		values = append(values, passwordsIn(line)...)
		for _, pattern := range []*regexp.Regexp{keyed, flagged} {
			for _, found := range pattern.FindAllStringSubmatch(line, -1) {
				values = append(values, formsOf(strings.Trim(found[2], `"'\`))...)
			}
		}
	})
	return values
}

var inURL = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://(` + login + `)@`)

// passwordsIn are the passwords in the URLs of a text.
func passwordsIn(text string) (values []string) {
	for _, found := range inURL.FindAllStringSubmatch(text, -1) {
		if _, password, ok := strings.Cut(found[1], ":"); ok {
			values = append(values, formsOf(password)...)
			if plain, err := url.PathUnescape(password); err == nil {
				values = append(values, formsOf(plain)...)
			}
		}
	}
	return values
}

// piece is what a value is made of, where it is a file: words of some length.
var piece = regexp.MustCompile(`[^\s"'=:,;{}\[\]<>]{8,}`)

// formsOf are the forms in which a program may print a value: as it is, trimmed, line by line, in pieces, escaped and
// encoded.
func formsOf(value string) (forms []string) {
	whole := strings.TrimSpace(value)
	if whole == "" {
		return nil
	}
	plain := []string{value, whole}
	for line := range strings.Lines(whole) {
		if line = strings.TrimSpace(line); len(line) > 3 || line == whole {
			plain = append(plain, line)
		}
	}
	plain = append(plain, piece.FindAllString(whole, -1)...)
	var parsed any
	if json.Unmarshal([]byte(whole), &parsed) == nil {
		plain = append(plain, leaves(parsed)...)
	}
	for _, text := range plain {
		text = strings.ToValidUTF8(text, "") // as what it is looked for in
		quoted, _ := json.Marshal(text)
		query := url.QueryEscape(text)
		forms = append(forms, text, strings.Trim(string(quoted), `"`), query, strings.ReplaceAll(query, "+", "%20"), url.PathEscape(text))
		if len(text) > 3 {
			forms = append(forms, strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(text)), "="),
				strings.TrimRight(base64.URLEncoding.EncodeToString([]byte(text)), "="))
		}
	}
	return forms
}

// leaves are the strings in a JSON value.
func leaves(value any) (found []string) {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		for _, v := range value {
			found = append(found, leaves(v)...)
		}
	case map[string]any:
		for _, v := range value {
			found = append(found, leaves(v)...)
		}
	}
	return found
}

// secretValues are the values that a pod was given and nobody is to read, in the forms that it may print them in. It
// reads the Secrets with the agent's own rights; false says that one of them could not be read.
func (c *Cluster) secretValues(ctx context.Context, pod *corev1.Pod) (values []string, known bool) {
	values = literals(pod)
	for name, kubeletOnly := range secretsOf(pod) {
		data, err := c.Secret(ctx, types.NamespacedName{Namespace: pod.Namespace, Name: name})
		if kubeletOnly && isMissing(err) {
			continue
		}
		if err != nil {
			return nil, false
		}
		for _, value := range data {
			values = append(values, formsOf(value)...)
		}
	}
	return tidy(values), true
}

func isMissing(err error) bool {
	problem, ok := err.(*Error)
	return ok && problem.Reason == "SecretNotFound"
}
