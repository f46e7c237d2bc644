@F2
Feature: Consent
  A supplier says on which ground personal data may be processed, before anything is recorded about it.

  Background:
    Given a consortium with its founding policy

  Scenario: Personal data without a lawful basis is refused
    When the hospital registers personal data without a lawful basis
    Then it is refused as "invalid-field"
    And the refusal names the field "/basis"
