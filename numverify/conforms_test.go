package numverify_test

import (
	"context"
	"os"
	"strconv"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// conforms checks a body against our OpenAPI document.
func conforms(t *testing.T, path string, status int, body object) {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	for _, operation := range doc.Paths.Value(path).Operations() {
		response := operation.Responses.Value(strconv.Itoa(status))
		if response == nil {
			t.Errorf("openapi.yaml has no response %d of %s", status, path)
			return
		}
		if err := response.Value.Content["application/json"].Schema.Value.VisitJSON(map[string]any(body)); err != nil {
			t.Errorf("%d of %s: %v", status, path, err)
		}
	}
}
