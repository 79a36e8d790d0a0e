package health

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// fieldOf finds a field by its path, "status.phase"; nil where there is none.
func fieldOf(object map[string]any, path string) any {
	value, _, err := unstructured.NestedFieldNoCopy(object, strings.Split(path, ".")...)
	if err != nil {
		return nil
	}
	return value
}

// textOf is a field as a text: numbers and booleans as JSON has them, and nothing for lists and maps.
func textOf(object map[string]any, path string) string {
	return asText(fieldOf(object, path))
}

func asText(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case bool, int64, int, float64:
		return fmt.Sprint(value)
	}
	return ""
}

// numberOf is a field as an integer, also where it is written as a text; 0 for anything else.
func numberOf(object map[string]any, path string) int64 {
	n, _ := asNumber(fieldOf(object, path))
	return n
}

func asNumber(value any) (n int64, ok bool) {
	switch value := value.(type) {
	case int64:
		return value, true
	case int:
		return int64(value), true
	case float64:
		return int64(value), true
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		return n, err == nil
	}
	return 0, false
}

// conditionOf is what an object's condition of a type says: type, status, reason, message and observedGeneration, each
// a text, and empty where there is none.
func conditionOf(object map[string]any, name string) map[string]string {
	list, _ := fieldOf(object, "status.conditions").([]any)
	for _, item := range list {
		if content, ok := item.(map[string]any); ok && asText(content["type"]) == name {
			return conditionFrom(content)
		}
	}
	return conditionFrom(nil)
}

// conditionsOf are an object's status.conditions, with all values as texts. A boolean status is read as True or False.
func conditionsOf(object map[string]any) []map[string]string {
	return conditionsIn(fieldOf(object, "status.conditions"))
}

// conditionsIn reads a list of conditions.
func conditionsIn(value any) []map[string]string {
	list, _ := value.([]any)
	var conditions []map[string]string
	for _, item := range list {
		content, ok := item.(map[string]any)
		if !ok {
			continue
		}
		conditions = append(conditions, conditionFrom(content))
	}
	return conditions
}

func conditionFrom(content map[string]any) map[string]string {
	condition := map[string]string{}
	for _, field := range []string{"type", "status", "reason", "message", "observedGeneration"} {
		condition[field] = asText(content[field])
	}
	switch strings.ToLower(condition["status"]) {
	case "true":
		condition["status"] = "True"
	case "false":
		condition["status"] = "False"
	}
	return condition
}

// asTruth reads a boolean, also where it is written as a text.
func asTruth(value any) (yes, ok bool) {
	switch value := value.(type) {
	case bool:
		return value, true
	case string:
		yes, err := strconv.ParseBool(strings.ToLower(value))
		return yes, err == nil && len(value) > 1
	}
	return false, false
}
